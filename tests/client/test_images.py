"""Images through the client: enrolled once, found again, refused with the reason, and never mixed with other models."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.client.real_server import ROOT
from unseen.errors import ImageRefused, InvalidInput, ModelMismatch
from unseen_client import AsyncClient, Client, Query, Record

PHOTOS = ROOT / "examples/demo/photos"


@pytest.fixture
def images(tmp_path):
    """Three different pictures, one of them twice under another name, one file that is none, one path to nothing."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for at in range(3):
        blocks = rng.integers(0, 255, (4, 4, 3), np.uint8).repeat(32, 0).repeat(32, 1)
        Image.fromarray(blocks).save(folder / f"{at}.png")
    (folder / "again.png").write_bytes((folder / "1.png").read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return [folder / one for one in ("0.png", "broken.jpg", "1.png", "absent.png", "again.png", "2.png")]


@pytest.fixture(scope="module")
def shared(server, tmp_path_factory):
    """One client for the module: models load once."""
    with Client(server.address, home=tmp_path_factory.mktemp("module") / "device") as one:
        yield one


def test_every_file_is_accounted_for(shared, name, images):
    seen = []
    shared.create_collection(name)
    report = shared.enrol_images(name, images, progress=seen.append)
    content_ids = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (images[0], images[2], images[5])]
    assert list(report.ids) == content_ids
    assert report.already == (content_ids[1],)
    assert [(refusal.source, refusal.code) for refusal in report.refused] == [
        (str(images[1]), "IMAGE_REFUSED"),
        (str(images[3]), "INVALID_INPUT"),
    ]
    assert not report.complete
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, 6, 6)
    again = shared.enrol_images(name, images[0])
    assert (again.enrolled, again.already) == (0, (content_ids[0],))
    assert shared.count(name) == 3


def test_an_image_finds_itself_and_its_record_has_a_thumbnail_and_its_name(shared, name, images, protection):
    shared.create_collection(name, protection=protection)
    shared.enrol_images(name, [images[0], images[2]], records=[Record(id="own", caption="mine"), Record()])
    best = shared.search_image(name, images[0], top_k=1)[0]
    assert (best.id, best.record.name, best.record.caption) == ("own", "0.png", "mine")
    assert best.score > 0.97
    thumbnail = Image.open(BytesIO(best.record.thumbnail))
    assert (thumbnail.format, max(thumbnail.size)) == ("JPEG", 128)
    assert shared.search_like(name, "own", top_k=5)[0].record.name == "1.png"
    assert len(shared.search_text(name, "a chess board", top_k=5)) == 2


def test_faces_are_counted_and_words_find_photographs(shared, name):
    shared.create_collection(name)
    files = [PHOTOS / one for one in ("astronaut.jpg", "citrus-slices.jpg", "dahlia.jpg", "autumn-mountain.jpg")]
    assert shared.enrol_images(name, files).faces_covered >= 1
    assert shared.search_text(name, "a slice of orange", top_k=1)[0].record.name == "citrus-slices.jpg"


def test_a_collection_refuses_another_model(shared, name):
    made = shared.create_collection(name)
    shared._session.remember(replace(made, model_id="another-model"))
    with pytest.raises(ModelMismatch, match="another-model"):
        shared.search_text(name, "a dog")
    shared._session.forget(name)
    with pytest.raises(ModelMismatch, match="enrol_images"):
        shared.enrol_vectors(name, ["a"], np.ones((1, 512)))


def test_a_collection_of_own_vectors_takes_no_images_and_no_words(shared, name, images):
    shared.create_collection(name, dimension=512)
    for call in (
        lambda: shared.search_text(name, "a dog"),
        lambda: shared.search_image(name, images[0]),
        lambda: shared.enrol_images(name, images),
    ):
        with pytest.raises(ModelMismatch, match="search_vector"):
            call()


def test_a_query_image_that_is_none_is_refused(shared, name, images):
    shared.create_collection(name)
    with pytest.raises(ImageRefused):
        shared.search_image(name, images[1])
    with pytest.raises(ImageRefused):
        shared.search_image(name, images[3])


def test_records_stand_one_beside_each_path(shared, name, images):
    shared.create_collection(name)
    with pytest.raises(InvalidInput, match="one Record for each"):
        shared.enrol_images(name, images, records=[Record()])


async def test_images_enrol_and_search_awaited(server, home, name, images):
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name)
        assert (await client.enrol_images(name, images)).enrolled == 3
        assert (await client.search_image(name, images[2], top_k=1))[0].record.name == "1.png"
        assert len(await client.search_text(name, "a chess board")) == 3


@pytest.fixture(scope="module", params=["sealed", "owner"])
def scenes(shared, request, locked_keys):
    """Four photographs in a collection of each protection, and how each call scores them."""
    shared.create_collection("scenes", protection=request.param)
    files = [PHOTOS / one for one in ("citrus-slices.jpg", "dahlia.jpg", "autumn-mountain.jpg", "astronaut.jpg")]
    ids = dict(zip((path.name for path in files), shared.enrol_images("scenes", files).ids, strict=True))

    def scores(query):
        return {hit.id: hit.score for hit in shared.search("scenes", query, rerank=True)}

    yield files, ids, scores
    shared.delete_collection("scenes")


def test_a_fused_score_is_the_weighted_sum_of_the_scores_of_words_pictures_and_rows(scenes):
    files, ids, scores = scenes
    parts = [Query.words("a flower"), Query.picture(files[2]), Query.like(ids["astronaut.jpg"])]
    alone = [scores(part) for part in parts]
    together = scores(parts[0] + 0.5 * parts[1] - 0.25 * parts[2])
    assert set(together) == set(ids.values()) - {ids["astronaut.jpg"]}
    for row, score in together.items():
        expected = alone[0][row] + 0.5 * alone[1][row] - 0.25 * alone[2][row]
        assert score == pytest.approx(expected, abs=1e-3)


def test_what_is_not_wanted_sinks(shared, scenes):
    files, ids, _ = scenes
    wanted = Query.picture(files[0])
    assert shared.search("scenes", wanted, top_k=1)[0].id == ids["citrus-slices.jpg"]
    assert shared.search("scenes", wanted - 2 * Query.words("a slice of orange"))[-1].id == ids["citrus-slices.jpg"]


def test_facets_are_cosines_and_the_models_own_weights_are_a_half_each(scenes):
    files, ids, scores = scenes
    picture = Query.picture(files[1])
    visual, semantic = (scores(picture.facets(**{name: 1})) for name in ("visual", "semantic"))
    assert visual[ids["dahlia.jpg"]] == pytest.approx(1, abs=1e-3)
    assert semantic[ids["dahlia.jpg"]] == pytest.approx(1, abs=1e-3)
    for row, score in scores(picture).items():
        assert score == pytest.approx((visual[row] + semantic[row]) / 2, abs=1e-3)
    words = Query.words("a flower")
    assert scores(words.facets(semantic=1)) == pytest.approx(scores(words), abs=1e-3)


def test_words_look_like_nothing_and_models_have_their_own_facets(shared, scenes):
    with pytest.raises(InvalidInput, match="words have no 'visual' one"):
        shared.search("scenes", Query.words("a flower").facets(visual=1))
    with pytest.raises(InvalidInput, match="this collection's model has visual, semantic"):
        shared.search("scenes", Query.words("a flower").facets(smell=1))


async def test_fused_queries_awaited_find_what_blocking_ones_find(server, shared, scenes):
    files, _, _ = scenes
    query = Query.words("a flower") + Query.picture(files[2])
    async with AsyncClient(server.address, home=shared._session.home) as client:
        found = await client.search("scenes", query, rerank=True, where="name = dahlia.jpg", temperature=0.1)
    assert [(hit.record.name, hit.relevance) for hit in found] == [("dahlia.jpg", 1.0)]
    assert found == shared.search("scenes", query, rerank=True, where="name = dahlia.jpg", temperature=0.1)
