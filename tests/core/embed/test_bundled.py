from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unseen.embed.bundled import FOLDER, PERSON_ROW, VISUAL_DIMENSION, BundledEmbedder, bundled_entry
from unseen.embed.preprocess import network_input
from unseen.errors import InvalidInput
from unseen.pixels import Pixels
from unseen.weights import open_session, read_manifest

Array = npt.NDArray[np.float32]
PHOTOS = Path(__file__).parents[3] / "examples" / "demo" / "photos"
MODEL_ID = "bundled-2:7cf286e78c73"
"""Changes with any file, preprocessing or recipe number: collections made before will then refuse this release."""
PHRASES = {
    "tabby-cat.jpg": "a cat",
    "espresso.jpg": "a cup of coffee",
    "tiger-in-snow.jpg": "a wild animal with stripes",
    "suspension-bridge.jpg": "a long bridge",
    "hotel-bed.jpg": "a place to sleep",
    "drum.jpg": "music",
}

KNOWN_PICTURE = [
    0.0132,
    -0.0214,
    0.0193,
    0.0569,
    0.0058,
    -0.0250,
    0.0407,
    0.0036,
    0.0094,
    0.0324,
    -0.0824,
    -0.0056,
    -0.0617,
    0.0070,
    -0.0376,
    0.0550,
]
KNOWN_WORDS = [
    -0.0480,
    -0.0127,
    0.0399,
    0.0293,
    0.0719,
    -0.0039,
    0.0581,
    0.1052,
    0.0622,
    -0.0167,
    -0.0305,
    0.0525,
    0.0240,
    -0.0070,
    -0.0120,
    0.1084,
]


@pytest.fixture(scope="module")
def embedder() -> Iterator[BundledEmbedder]:
    model = BundledEmbedder(read_manifest(FOLDER))
    yield model
    model.close()


def photo(name: str) -> Pixels:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))


def generated() -> Pixels:
    """A picture from a formula: the same everywhere, and nothing to commit."""
    y, x = np.mgrid[0:200, 0:300]
    return np.stack([(x * 3 + y) % 256, (x * y // 50) % 256, (y * 5) % 256], axis=2).astype(np.uint8)


def test_the_model_id_is_the_pinned_one(embedder: BundledEmbedder) -> None:
    entry = bundled_entry()
    assert (entry.model_id, entry.dimension) == (MODEL_ID, 512)
    assert (embedder.model_id, embedder.dimension) == (MODEL_ID, 512)


def test_known_picture_gives_the_known_vector(embedder: BundledEmbedder) -> None:
    vector = embedder.image(generated())
    assert vector.dtype == np.float32
    assert vector.shape == (512,)
    assert vector[::32] == pytest.approx(KNOWN_PICTURE, abs=1e-3)


def test_known_words_give_the_known_vector(embedder: BundledEmbedder) -> None:
    # int8 arithmetic differs a little between processors, so this one is looser.
    assert embedder.text("a striped animal in the snow")[128::24] == pytest.approx(KNOWN_WORDS, abs=2e-2)


def plain_image_vector(pixels: Pixels, people: int) -> Array:
    """The recipe written out: class by class, in float64, nothing shared with the embedder but the files."""
    recipe = read_manifest(FOLDER).recipe
    session = open_session((FOLDER / "efficientnet-lite0.onnx").read_bytes())
    features, scores, middle = session.run(None, {"pixels": network_input(pixels, 224, 1.5)})
    texts, directions, direction_texts, projection = (
        np.load(FOLDER / f"{name}.npy").astype(float)
        for name in ("class_texts", "directions", "direction_texts", "visual_projection")
    )
    chances = [float(np.exp(score / float(recipe["class_temperature"]))) for score in scores[0].astype(float)]
    semantic = np.zeros(384)
    for chance, text in zip(chances, texts[:PERSON_ROW], strict=True):
        semantic += chance / sum(chances) * text
    for direction, text in zip(directions.T, direction_texts, strict=True):
        semantic += sum(features[0].astype(float) * direction) * text
    if people:
        semantic += float(recipe["person_weight"]) * texts[PERSON_ROW]
    looks = np.append(middle[0].astype(float), 1.0)
    visual = np.array([sum(looks * projection[:, column]) for column in range(VISUAL_DIMENSION)])
    parts = [visual / np.sqrt((visual**2).sum()) * 0.5**0.5, semantic / np.sqrt((semantic**2).sum()) * 0.5**0.5]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("people", [0, 2])
def test_image_vectors_agree_with_the_plain_way(embedder: BundledEmbedder, people: int) -> None:
    for pixels in (generated(), photo("pagoda.jpg")):
        assert np.abs(embedder.image(pixels, people=people) - plain_image_vector(pixels, people)).max() < 1e-5


def test_rows_agree_with_the_float32_network(embedder: BundledEmbedder) -> None:
    with np.load(Path(__file__).parent / "float32_answers.npz") as answers:
        names, classes, rows = (answers[name] for name in ("names", "classes", "rows"))
    for name, best, row in zip(names, classes, rows, strict=True):
        seen = embedder._classify(network_input(photo(str(name)), 224, 1.5))
        assert int(seen.class_scores.argmax()) == best
        assert float(embedder.image(photo(str(name))) @ row.astype(np.float32)) >= 0.999


def test_words_find_their_picture_first(embedder: BundledEmbedder) -> None:
    rows = {name: embedder.image(photo(name)) for name in PHRASES}
    for name, words in PHRASES.items():
        query = embedder.text(words)
        assert max(rows, key=lambda other: float(rows[other] @ query)) == name


def test_word_queries_use_only_the_semantic_part(embedder: BundledEmbedder) -> None:
    query = embedder.text("a bridge")
    assert (query[:VISUAL_DIMENSION] == 0).all()
    row = embedder.image(photo("suspension-bridge.jpg"))
    semantic = row[VISUAL_DIMENSION:] / np.linalg.norm(row[VISUAL_DIMENSION:])
    cosine = float(query[VISUAL_DIMENSION:] @ semantic)
    assert float(query @ row) * embedder.text_score_scale == pytest.approx(cosine, abs=1e-6)


def test_every_vector_has_unit_length_and_equal_halves(embedder: BundledEmbedder) -> None:
    for vector in (embedder.image(generated()), embedder.image(generated(), people=1), embedder.text("x")):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(embedder.image(generated())[:VISUAL_DIMENSION]) == pytest.approx(0.5**0.5, abs=1e-5)


def test_covered_people_bring_a_picture_nearer_to_people(embedder: BundledEmbedder) -> None:
    query = embedder.text("a portrait of a person")
    alone, with_people = embedder.image(photo("villa.jpg")), embedder.image(photo("villa.jpg"), people=1)
    assert with_people @ query > alone @ query + 0.1
    assert (with_people[:VISUAL_DIMENSION] == alone[:VISUAL_DIMENSION]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 800), (800, 1), (223, 225), (1280, 3)])
def test_odd_sizes_have_vectors(embedder: BundledEmbedder, size: tuple[int, int]) -> None:
    for value in (0, 127, 255):
        assert np.isfinite(embedder.image(np.full((*size, 3), value, np.uint8))).all()


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_any_words_have_a_vector_or_are_refused(embedder: BundledEmbedder, words: str) -> None:
    if not words.strip():
        with pytest.raises(InvalidInput):
            embedder.text(words)
    else:
        assert np.linalg.norm(embedder.text(words)) == pytest.approx(1, abs=1e-5)


def test_long_words_are_cut_and_very_long_ones_refused(embedder: BundledEmbedder) -> None:
    assert (embedder.english("tree " * 200) == embedder.english("tree " * 300)).all()
    with pytest.raises(InvalidInput, match="characters"):
        embedder.text("tree " * 2000)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_picture_is_refused(embedder: BundledEmbedder, pixels: Pixels) -> None:
    with pytest.raises(InvalidInput, match="decode"):
        embedder.image(pixels)


def test_a_closed_model_opens_again(embedder: BundledEmbedder) -> None:
    before = embedder.image(generated())
    embedder.close()
    assert (embedder.image(generated()) == before).all()


def test_a_closed_model_holds_nothing_that_it_read(embedder: BundledEmbedder) -> None:
    embedder.close()
    unopened = set(vars(embedder))
    embedder.image(generated(), people=1)
    embedder.text("a dog")
    assert set(vars(embedder)) > unopened
    embedder.close()
    assert set(vars(embedder)) == unopened
