"""Searches of fused queries and other metrics, driven by hand against a paper server that scores with the real scan."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import IntegrityError, InvalidInput, InvalidVector, ModelMismatch
from unseen.params import DEFAULT
from unseen_client import Query, Record
from unseen_client.flows.search import Wanted
from unseen_client.flows.search import search as flow
from unseen_client.flows.sync import open_place
from unseen_client.keys.keystore import KeyStore
from unseen_client.retrieval.choice import choice
from unseen_client.retrieval.fuse import MadePart, fused

IDS = [f"row-{at}" for at in range(40)]
NOISE = 0.012
"""Six standard deviations of an encrypted cosine."""


def vectors(count: int = 40, seed: int = 1) -> np.ndarray:
    """Vectors whose lengths differ: (n, 16), at most 5 long."""
    random = np.random.default_rng(seed)
    made = random.standard_normal((count, 16))
    return (made / np.linalg.norm(made, axis=1, keepdims=True) * random.uniform(1, 5, (count, 1))).astype(np.float32)


def filled(device, metric: str = "cosine", records=None, keep_vectors: bool = True):
    device(device.protocol.create_collection("plants", None, 16, None, keep_vectors, metric, 5.0))
    device(device.protocol.enrol_vectors("plants", IDS, vectors(), records))
    return device


def search(device, query: Query, top_k: int = 10, **wishes):
    return device(device.protocol.search("plants", query, top_k, **wishes))


def newest_search(device):
    return next(one for one in reversed(device.exchanges) if one.rpc.path.endswith("Search"))


def exact(metric: str, point: np.ndarray) -> np.ndarray:
    rows = vectors().astype(float)
    if metric == "cosine":
        return rows @ point / np.linalg.norm(rows, axis=1) / np.linalg.norm(point)
    if metric == "dot":
        return rows @ point
    return -np.square(rows - point).sum(axis=1) if metric == "l2" else -np.abs(rows - point).sum(axis=1)


TOLERANCES = {"cosine": NOISE, "dot": NOISE * 25, "l2": NOISE * 25 * 5**0.5, "l1": 0.02}


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_scores_are_those_of_the_metric(device, metric):
    point = vectors(1, seed=9)[0]
    hits = search(filled(device, metric), Query.vector(point), 40)
    expected = dict(zip(IDS, exact(metric, point), strict=True))
    assert len(hits) == 40
    assert max(abs(hit.score - expected[hit.id]) for hit in hits) < TOLERANCES[metric]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_reranked_hits_are_those_of_plain_arithmetic(device, metric):
    point = vectors(1, seed=9)[0]
    hits = search(filled(device, metric), Query.vector(point), 40, rerank=True)
    assert [hit.id for hit in hits] == [IDS[at] for at in np.argsort(-exact(metric, point))]


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_a_fused_score_is_the_weighted_sum_and_the_query_is_as_large_as_any_other(device, metric):
    device = filled(device, metric)
    one, other = vectors(2, seed=9)
    search(device, Query.vector(one))
    sent = newest_search(device)
    calls = len(device.server.log)
    query = 0.7 * Query.vector(one) - 0.3 * Query.vector(other) + 0.2 * Query.like("row-3")
    hits = search(device, query, 39, rerank=True)
    assert device.server.log[calls:].count("Search") == 1
    assert [one.ByteSize() for one in newest_search(device).requests] == [one.ByteSize() for one in sent.requests]
    parts = (0.7, one), (-0.3, other), (0.2, vectors()[3])
    expected = dict(zip(IDS, sum(weight * exact(metric, point) for weight, point in parts), strict=True))
    assert {hit.id for hit in hits} == set(IDS) - {"row-3"}
    assert [hit.score for hit in hits] == pytest.approx([expected[hit.id] for hit in hits], abs=0.02)


def test_the_server_cannot_count_the_rows_that_a_query_names(device):
    search(filled(device), Query.like(IDS[0]))  # brings the mirror up to date
    asked = []
    for count in (1, 2, 9):
        before = len(device.server.log)
        hits = search(device, sum(Query.like(row) for row in IDS[:count]), 40)
        assert {hit.id for hit in hits} == set(IDS[count:])
        asked.append(device.server.log[before:])
    assert asked[0].count("Search") == 1
    assert asked[0] == asked[1] == asked[2]


@pytest.mark.parametrize(("metric", "extra"), [("dot", 1), ("l2", 2), ("l1", 2)])
def test_a_metric_is_the_members_own_business(device, metric, extra):
    filled(device, metric)
    (held,) = device.session.keys.all()
    assert (held.metric, held.longest) == (metric, 5.0)
    made = next(one for one in device.exchanges if one.rpc.path.endswith("CreateCollection")).requests[0]
    said = {field.name: value for field, value in made.ListFields() if field.name != "request_id"}
    assert said == {"name": "plants", "dimension": 16 + extra, "parameter_id": DEFAULT.id, "model_id": "none"}


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_another_device_with_the_key_compares_as_the_first(device, new_device, metric):
    other = new_device(filled(device, metric).server)
    other.session.keys.put(device.session.keys.all()[0])
    point = Query.vector(vectors(1, seed=9)[0])
    assert search(other, point, rerank=True) == search(device, point, rerank=True)


def test_records_give_vectors_back_as_long_as_they_were(device):
    filled(device, "l2")
    assert device(device.protocol.get("plants", "row-5")).vector == pytest.approx(vectors()[5], rel=2e-3, abs=1e-3)
    listed = device(device.protocol.list("plants", None, 0))
    assert np.allclose([record.vector for record in listed], vectors(), rtol=2e-3, atol=1e-3)


def test_zero_is_a_point_like_any_other_where_distance_counts(device):
    device(device.protocol.create_collection("plants", None, 16, None, True, "l2", 5.0))
    rows = vectors(3)
    rows[1] = 0
    device(device.protocol.enrol_vectors("plants", IDS[:3], rows, None))
    assert search(device, Query.vector(np.zeros(16)), 1)[0].id == "row-1"


def test_a_vector_longer_than_was_said_is_refused_and_nothing_is_sent(device):
    device(device.protocol.create_collection("plants", None, 16, None, True, "l2", 3.0))
    with pytest.raises(InvalidVector, match="takes up to 3; nothing was sent"):
        device(device.protocol.enrol_vectors("plants", IDS, vectors(), None))
    assert "EnrolRows" not in device.server.log


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("bundled", None, None, True, "l2", 1.0), "a model's vectors are compared by cosine"),
        ((None, 16, None, False, "l1", 1.0), "leave keep_vectors on"),
        ((None, 4095, None, True, "l2", 1.0), "at most 4094"),
        ((None, 16, None, True, "hamming", 1.0), "cosine, dot, l2, l1"),
        ((None, 16, None, True, "l2", 0.0), "longest"),
    ],
)
def test_metrics_that_do_not_fit_are_refused_before_anything_is_made(device, arguments, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        device(device.protocol.create_collection("plants", *arguments))
    assert "CreateCollection" not in device.server.log


def test_noise_is_for_directions(device):
    device(device.protocol.create_collection("plants", None, 16, None, True, "dot", 5.0))
    with pytest.raises(InvalidInput, match="noise is made for directions"):
        device(device.protocol.enrol_vectors("plants", IDS, vectors(), None, "privunit:64"))
    assert "EnrolRows" not in device.server.log


def test_filters_fill_the_hits_and_never_reach_the_server(device):
    records = [Record(tags=("an even number",) if at % 2 == 0 else (), extra={"number": str(at)}) for at in range(40)]
    filled(device, records=records)
    before = len(device.server.received)
    hits = search(device, Query.vector(vectors()[7]), 5, where=["tag = an even number", "number >= 20"])
    assert len(hits) == 5
    assert all(int(hit.record.extra["number"]) in range(20, 40, 2) for hit in hits)
    assert b"an even number" not in device.server.received[before:]


def test_relevance_is_given_where_a_temperature_is(device):
    hits = search(filled(device), Query.vector(vectors()[7]), 40, temperature=0.05)
    assert sum(hit.relevance for hit in hits) == pytest.approx(1)
    assert search(device, Query.vector(vectors()[7]), 1)[0].relevance is None


def test_without_kept_vectors_nothing_is_scored_again(device):
    with pytest.raises(InvalidInput, match="keep_vectors=True"):
        search(filled(device, keep_vectors=False), Query.vector(vectors()[7]), rerank=True)


@pytest.mark.parametrize(
    ("query", "error", "sentence"),
    [
        (Query(), InvalidInput, "got no query"),
        (Query.vector(np.ones(9)), InvalidVector, r"takes \(16,\)"),
        (Query.vector("words"), InvalidVector, "not an array of numbers"),
        (Query.vector(np.zeros(16)), InvalidVector, "zero or not finite"),
        (Query.words("a plant"), ModelMismatch, "vectors of its owner's own"),
        (Query.vector(np.ones(16)).facets(visual=1), ModelMismatch, "vectors of its owner's own"),
        (Query.like("row-1") - Query.like("row-1"), InvalidInput, "cancel each other out"),
    ],
)
def test_queries_that_cannot_be_are_refused_and_nothing_is_sent(device, query, error, sentence):
    filled(device)
    with pytest.raises(error, match=sentence):
        search(device, query)
    assert "Search" not in device.server.log


def test_a_key_of_a_later_metric_is_refused(device):
    filled(device, "l2")
    (held,) = device.session.keys.all()
    path = device.session.home / "keys" / f"{held.collection_uid.hex()}.json"
    path.write_text(path.read_text().replace('"l2"', '"l3"'))
    with pytest.raises(IntegrityError, match="damaged"):
        KeyStore(device.session.home).get(held.collection_uid)


@pytest.mark.parametrize("again", [("l2", 9.0), ("l1", 5.0)])
def test_a_query_made_for_what_was_before_is_refused(device, again):
    """The collection is deleted and made anew, by this very device, between the making of a query and its search."""
    filled(device, "l2")
    place = device(open_place(device.session, "plants"))
    whole = fused(place.metric, [MadePart(vectors()[7], 1.0)])
    device(device.protocol.delete_collection("plants"))
    device(device.protocol.create_collection("plants", None, 16, None, True, *again))
    with pytest.raises(ModelMismatch, match="made anew"):
        device(flow(device.session, "plants", Wanted(whole, choice(1))))
