"""Texts as rows: where the semantic part of a picture lies, found by words and by pictures, nothing twice."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.client.real_server import ROOT
from unseen.embed.model import Facet, row_of_words
from unseen.errors import InvalidInput, ModelMismatch
from unseen_client import AsyncClient, Client, Query, Record
from unseen_client.prepare import LONGEST_TEXT_CHARACTERS, PIECE_WORDS, Preparer, pieces_of

PHOTOS = ROOT / "examples/demo/photos"
REPORTS = ["A tiger is a large striped cat that hunts deer.", "An orange is a round citrus fruit with juicy slices."]


@pytest.fixture(scope="module")
def preparer():
    with Preparer() as one:
        yield one


@pytest.fixture(scope="module")
def shared(server, tmp_path_factory):
    """One client for the module: models load once."""
    with Client(server.address, home=tmp_path_factory.mktemp("module") / "device") as one:
        yield one


def test_a_text_lies_where_the_semantic_part_of_a_picture_lies(preparer):
    visual, semantic = preparer.facets["visual"], preparer.facets["semantic"]
    row, words = preparer.text_row(REPORTS[0]), preparer.text(REPORTS[0])
    picture = preparer.image(PHOTOS / "tiger-in-snow.jpg").vector
    for part in (visual, semantic):
        assert np.linalg.norm(row[part.start : part.stop]) == pytest.approx(part.weight, abs=1e-6)
        assert np.linalg.norm(picture[part.start : part.stop]) == pytest.approx(part.weight, abs=1e-6)
    np.testing.assert_allclose(row[semantic.start :], semantic.weight * words[semantic.start :], atol=1e-6)
    assert np.count_nonzero(row[: visual.stop]) == 1
    assert row[visual.stop - 1] == pytest.approx(visual.weight)
    assert preparer.text_score_scale * float(preparer.text(REPORTS[0]) @ row) == pytest.approx(1, abs=1e-5)


def test_no_picture_looks_like_a_text(preparer):
    looks = [preparer.image(path).vector[127] / np.sqrt(0.5) for path in sorted(PHOTOS.glob("*.jpg"))[::8]]
    assert max(map(abs, looks)) < 0.25
    assert abs(float(np.mean(looks))) < 0.1


def test_a_row_of_a_model_with_one_part_is_the_vector_itself():
    vector = np.array([0.6, 0.8], np.float32)
    assert row_of_words(vector, {}) is not vector
    np.testing.assert_array_equal(row_of_words(vector, {}), vector)
    two = {"a": Facet(0, 2, 0.6), "b": Facet(2, 4, 0.8)}
    np.testing.assert_allclose(row_of_words(np.array([0, 0, 0, 1], np.float32), two), [0, 0.6, 0, 0.8], atol=1e-6)


def test_long_texts_are_cut_into_pieces_that_a_model_reads_whole_and_nothing_is_lost(preparer):
    words = [f"word{at}" for at in range(2 * PIECE_WORDS + 1)]
    pieces = pieces_of("  " + "\n ".join(words))
    assert [len(piece.split()) for piece in pieces] == [PIECE_WORDS, PIECE_WORDS, 1]
    assert " ".join(pieces).split() == words
    assert [len(piece) for piece in pieces_of("字" * (PIECE_WORDS + 2))] == [PIECE_WORDS, 2]
    long = " ".join(["the tiger hunts deer in the snow"] * 20 + ["a cup of coffee"] * 20)
    plain = sum(preparer.text(piece) for piece in pieces_of(long))
    np.testing.assert_allclose(
        preparer.text_row(long)[128:] / np.sqrt(0.5), (plain / np.linalg.norm(plain))[128:], atol=1e-5
    )
    for bad in (" \n", "x" * (LONGEST_TEXT_CHARACTERS + 1)):
        with pytest.raises(InvalidInput):
            preparer.text_row(bad)


def test_words_and_pictures_find_texts_and_pictures_together(shared, name):
    shared.create_collection(name)
    pictures = ["tiger-in-snow.jpg", "citrus-slices.jpg", "espresso.jpg"]
    shared.enrol_images(name, [PHOTOS / one for one in pictures])
    report = shared.enrol_texts(name, REPORTS, records=[Record(id="tigers"), Record(tags=("fruit",))])
    assert (report.ids[0], report.enrolled, report.complete) == ("tigers", 2, True)
    assert report.ids[1] == hashlib.sha256(REPORTS[1].encode()).hexdigest()[:16]

    tiger = shared.search(name, Query.picture(PHOTOS / "tiger-in-snow.jpg"), where="kind = text", top_k=1)[0]
    assert (tiger.id, tiger.record.caption, tiger.record.name) == ("tigers", REPORTS[0], REPORTS[0])
    found = [hit.record.name for hit in shared.search_text(name, "a striped cat", top_k=5)]
    assert found.index(REPORTS[0]) < found.index(REPORTS[1])
    assert found.index("tiger-in-snow.jpg") < found.index("espresso.jpg")
    exact = shared.search(name, Query.words(REPORTS[1]), rerank=True, top_k=1)[0]
    assert exact.record.tags == ("fruit",)
    assert exact.score == pytest.approx(1, abs=2e-3)


def test_a_text_is_enrolled_once_and_one_without_words_is_refused(shared, name):
    shared.create_collection(name)
    report = shared.enrol_texts(name, [REPORTS[0], "  ", REPORTS[0]])
    assert (report.enrolled, len(report.already)) == (1, 1)
    assert [(one.source, one.code) for one in report.refused] == [("text 2", "INVALID_INPUT")]
    assert [(one.source, one.of) for one in report.duplicates] == [("text 3", report.ids[0])]
    assert shared.enrol_texts(name, REPORTS[0]).already == report.ids
    assert shared.count(name) == 1


def test_texts_need_a_collection_of_a_model(shared, name):
    shared.create_collection(name, dimension=16)
    with pytest.raises(ModelMismatch, match="search_vector"):
        shared.enrol_texts(name, REPORTS)


async def test_texts_enrol_awaited(server, home, name):
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name)
        assert (await client.enrol_texts(name, REPORTS)).enrolled == 2
        assert (await client.search_text(name, "juicy fruit", top_k=1))[0].record.name == REPORTS[1]
