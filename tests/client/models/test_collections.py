"""A pulled model behind a collection: enrolled, found by picture and by words, and never mixed with another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.core.embed.pulled.folders import laid_out
from tests.core.embed.pulled.tiny_onnx import FILES, RECIPE, picture_twin, tiny_model, words_twin
from unseen.embed.pulled.embedder import pulled_entry
from unseen.errors import InvalidConfiguration, InvalidInput, ModelMismatch
from unseen_client import Client
from unseen_client.keys.keystore import KeyStore
from unseen_client.models.shelf import FOLDER_NAME, folder_name


def held_by(home: Path, model_id: str, made: Path) -> None:
    folder = home / FOLDER_NAME / folder_name(model_id)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    made.rename(folder)


def id_in(folder: Path) -> str:
    return pulled_entry(folder).model_id


@pytest.fixture
def model_id(home: Path, tmp_path: Path) -> str:
    """The tiny model, on this device."""
    made = tiny_model(tmp_path / "made")
    model_id = id_in(made)
    held_by(home, model_id, made)
    return model_id


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(8)
    made = {}
    for at in range(6):
        pixels = generator.integers(0, 255, (4, 4, 3), np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(tmp_path / f"{at}.png")
        made[str(tmp_path / f"{at}.png")] = pixels
    return made


def test_pictures_and_words_are_scored_as_the_model_in_plaintext_scores_them(client, name, model_id, pictures) -> None:
    made = client.create_collection(name, model="tiny")
    assert (made.model_id, made.dimension) == (model_id, 16)
    ids = client.enrol_images(name, list(pictures)).ids
    rows = np.array([picture_twin(pixels) for pixels in pictures.values()])
    found = {hit.id: hit.score for hit in client.search_image(name, next(iter(pictures)), top_k=6)}
    assert [found[one] for one in ids] == pytest.approx(list(rows @ rows[0]), abs=0.02)
    worded = {hit.id: hit.score for hit in client.search_text(name, "red car", top_k=6)}
    assert [worded[one] for one in ids] == pytest.approx(list(rows @ words_twin("red car")), abs=0.02)


def test_a_device_without_the_model_is_told_which_to_use(server, client, name, model_id, home, tmp_path) -> None:
    uid = client.create_collection(name, model=model_id).uid
    other_home = tmp_path / "other"
    KeyStore(other_home).put(KeyStore(home).get(uid))
    with (
        Client(server.address, home=other_home) as other,
        pytest.raises(ModelMismatch, match="unseen models pull") as told,
    ):
        other.search_text(name, "dog")
    assert model_id in str(told.value)
    made = laid_out(tmp_path / "second", {**RECIPE, "revision": "2"}, FILES)
    held_by(other_home, id_in(made), made)
    with Client(server.address, home=other_home) as other, pytest.raises(ModelMismatch, match="another revision"):
        other.search_text(name, "dog")


def test_two_revisions_of_a_model_are_told_apart_by_their_hash(client, home, name, model_id, tmp_path) -> None:
    made = laid_out(tmp_path / "second", {**RECIPE, "revision": "2"}, FILES)
    second = id_in(made)
    held_by(home, second, made)
    with pytest.raises(InvalidInput, match="tiny@"):
        client.create_collection(name, model="tiny")
    assert client.create_collection(name, model=folder_name(second)).model_id == second
    assert client.create_collection(f"{name}-b", model=model_id).model_id == model_id


def test_a_model_without_pictures_says_so_at_the_first(client, home, name, tmp_path, pictures) -> None:
    recipe = {key: value for key, value in RECIPE.items() if not key.startswith("picture")}
    made = laid_out(tmp_path / "words", {**recipe, "name": "words"}, FILES)
    held_by(home, id_in(made), made)
    client.create_collection(name, model="words")
    with pytest.raises(InvalidConfiguration, match="reads no pictures; create the collection with a model that does"):
        client.enrol_images(name, list(pictures))
    assert client.count(name) == 0
