"""The public calls, driven by hand against a paper server: what is asked, how often, and what comes of faults."""

from __future__ import annotations

import numpy as np
import pytest

from tests.noise import MOST_COSINE_ERROR
from unseen import params
from unseen.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidInput,
    InvalidVector,
    KeyMissing,
    LimitExceeded,
    MethodUnknown,
    ModelMismatch,
    PackingChanged,
    PolicyNotFound,
    RowNotFound,
    ServerUnavailable,
)
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen_client import Record
from unseen_client.agreements import Accepted
from unseen_client.flows.consents import Given
from unseen_client.keys.vault import LOCK_NAME

IDS = [f"row-{at}" for at in range(40)]


@pytest.fixture
def filled(device, unit_vectors):
    """A device that has enrolled forty rows of sixteen numbers."""
    device(device.protocol.create_collection("plants", None, 16, None, True))
    device(device.protocol.enrol_vectors("plants", IDS, unit_vectors(40), None))
    return device


def test_a_search_ranks_as_the_plain_twin_does(filled, unit_vectors) -> None:
    rows, query = unit_vectors(40), unit_vectors(1, seed=9)[0]
    hits = filled(filled.protocol.search_vector("plants", query, 40))
    exact = to_cosines(
        params.DEFAULT, plain_scores(quantise_rows(params.DEFAULT, rows), quantise_query(params.DEFAULT, query))
    )
    by_id = {hit.id: hit.score for hit in hits}
    assert len(by_id) == 40
    assert np.allclose([by_id[row] for row in IDS], exact, atol=MOST_COSINE_ERROR)
    assert [hit.score for hit in hits] == sorted(by_id.values(), reverse=True)
    assert hits[0].id == IDS[int(np.argmax(rows @ query))]


def test_a_row_finds_itself_first_with_cosine_one(filled, unit_vectors) -> None:
    hits = filled(filled.protocol.search_vector("plants", unit_vectors(40)[7] * 55, 1))
    assert [hit.id for hit in hits] == ["row-7"]
    assert hits[0].score == pytest.approx(1, abs=0.02)


def test_a_server_from_before_agreements_is_enrolled_at(device, paper, unit_vectors, monkeypatch) -> None:
    monkeypatch.setattr(paper, "on_get_policy", unknown)
    device(device.protocol.create_collection("plants", None, 16, None, True))
    assert device(device.protocol.enrol_vectors("plants", IDS[:2], unit_vectors(2), None)).enrolled == 2
    with pytest.raises(PolicyNotFound, match="without agreements"):
        device(
            device.protocol.enrol_vectors("plants", IDS[2:3], unit_vectors(1), None, given=Given("anna", None, "care"))
        )


def test_a_server_from_before_agreements_gets_no_row_where_one_was_accepted(
    device, paper, unit_vectors, monkeypatch
) -> None:
    monkeypatch.setattr(paper, "on_get_policy", unknown)
    made = device(device.protocol.create_collection("plants", None, 16, None, True))
    device.session.agreements.accept(made.uid, bytes(32), Accepted(1, bytes(32), "{}"))
    with pytest.raises(PolicyNotFound, match="without agreements"):
        device(device.protocol.enrol_vectors("plants", IDS[:2], unit_vectors(2), None))
    assert "EnrolRows" not in paper.log


def unknown(_):
    raise MethodUnknown("does not speak this release's contract")


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_vectors_of_any_length_are_kept_as_directions(device, unit_vectors, scale) -> None:
    device(device.protocol.create_collection("plants", None, 16, None, True))
    device(device.protocol.enrol_vectors("plants", IDS[:3], unit_vectors(3) * np.float32(scale), None))
    assert np.allclose(device(device.protocol.get("plants", "row-1")).vector, unit_vectors(3)[1], atol=1e-3)
    assert device(device.protocol.search_vector("plants", unit_vectors(3)[1], 1))[0].id == "row-1"


def test_more_like_a_row_leaves_itself_out(filled, unit_vectors) -> None:
    rows = unit_vectors(40)
    hits = filled(filled.protocol.search_like("plants", "row-7", 3))
    nearest = np.argsort(-(rows @ rows[7]))[1]
    assert len(hits) == 3
    assert hits[0].id == IDS[nearest]
    assert "row-7" not in {hit.id for hit in hits}


def test_without_kept_vectors_more_like_says_what_to_do(device, unit_vectors) -> None:
    device(device.protocol.create_collection("plants", None, 16, None, False))
    device(device.protocol.enrol_vectors("plants", IDS[:2], unit_vectors(2), None))
    with pytest.raises(InvalidInput, match="keep_vectors=True"):
        device(device.protocol.search_like("plants", "row-0", 3))


def test_records_come_back_whole_and_never_travel_in_the_clear(device, unit_vectors) -> None:
    record = Record(
        name="zebra.jpg",
        caption="a striped animal",
        tags=("zoo", "afrika"),
        link="file:///private/zebra.jpg",
        thumbnail=b"\xff\xd8\xff-thumbnail-bytes",
        extra={"camera": "unlikely-camera-name"},
    )
    device(device.protocol.create_collection("animals", None, 16, None, True))
    device(device.protocol.enrol_vectors("animals", ["z1-row-of-the-zebra"], unit_vectors(1), [record]))
    found = device(device.protocol.get("animals", "z1-row-of-the-zebra"))
    assert (found.id, found.name, found.caption, found.tags, found.link, found.thumbnail, found.extra) == (
        "z1-row-of-the-zebra", record.name, record.caption, record.tags, record.link, record.thumbnail, record.extra
    )  # fmt: skip
    assert np.allclose(found.vector, unit_vectors(1)[0], atol=1e-3)
    for secret in (b"row-of-the", b"zebra", b"striped", b"afrika", b"private", b"thumbnail", b"unlikely"):
        assert secret not in device.server.received


def test_ids_already_there_are_reported_and_left_alone(filled, unit_vectors) -> None:
    again = filled(filled.protocol.enrol_vectors("plants", [*IDS[:3], "new"], unit_vectors(4, seed=3), None))
    assert again.ids == ("new",)
    assert again.already == tuple(IDS[:3])
    assert filled(filled.protocol.count("plants")) == 41


def test_another_device_that_was_faster_is_no_error(filled, new_device, unit_vectors) -> None:
    other = new_device(filled.server)
    other.session.keys.put(filled.session.keys.all()[0])
    enrolled = []

    def let_the_other_in(exchange):
        if exchange.rpc.path.endswith("EnrolRows") and not enrolled:
            enrolled.append(other(other.protocol.enrol_vectors("plants", ["b"], unit_vectors(1), None)))

    filled.faults = let_the_other_in
    report = filled(filled.protocol.enrol_vectors("plants", ["a", "b", "c"], unit_vectors(3), None))
    assert enrolled[0].ids == ("b",)
    assert (report.ids, report.already) == (("a", "c"), ("b",))
    assert filled(filled.protocol.count("plants")) == 43


def test_large_enrolments_go_in_streams_of_a_thousand_rows_and_messages_under_a_mebibyte(device, unit_vectors) -> None:
    device(device.protocol.create_collection("many", None, 512, None, True))
    ids = [str(at) for at in range(2300)]
    report = device(device.protocol.enrol_vectors("many", ids, unit_vectors(2300, 512), None))
    assert report.enrolled == 2300
    assert device.server.log.count("EnrolRows") == 3
    streams = [exchange for exchange in device.exchanges if exchange.rpc.path.endswith("EnrolRows")]
    assert [stream.requests[0].header.row_count for stream in streams] == [1000, 1000, 300]
    assert len({stream.requests[0].header.request_id for stream in streams}) == 3
    assert max(request.ByteSize() for stream in streams for request in stream.requests) <= 1 << 20
    assert [step.done for step in device.progress] == [1000, 2000, 2300]


def test_a_server_that_takes_fewer_rows_gets_fewer(device, unit_vectors) -> None:
    device.server.max_rows = 7
    device(device.protocol.create_collection("few", None, 16, None, True))
    assert device(device.protocol.enrol_vectors("few", IDS[:20], unit_vectors(20), None)).enrolled == 20
    assert device.server.log.count("EnrolRows") == 3


def test_a_record_larger_than_the_server_takes_is_refused_before_anything_is_sent(device, unit_vectors) -> None:
    device.server.max_record_bytes = 2000
    device(device.protocol.create_collection("few", None, 16, None, True))
    records = [Record(), Record(caption="x" * 5000)]
    with pytest.raises(LimitExceeded, match="2000"):
        device(device.protocol.enrol_vectors("few", IDS[:2], unit_vectors(2), records))
    assert "EnrolRows" not in device.server.log


def test_a_repacked_collection_is_asked_again_with_a_fresh_encryption(filled, unit_vectors) -> None:
    query = unit_vectors(1, seed=51)[0]  # its best are apart by more than the noise
    before = filled(filled.protocol.search_vector("plants", query, 3))
    filled.server.collections["plants"].factor = 8
    filled.exchanges.clear()
    after = filled(filled.protocol.search_vector("plants", query, 3))
    assert [hit.id for hit in after] == [hit.id for hit in before]
    searches = [exchange for exchange in filled.exchanges if exchange.rpc.path.endswith("Search")]
    assert [search.requests[0].header.packing_factor for search in searches] == [4, 8]
    assert searches[0].requests[1].query[:64] != searches[1].requests[1].query[:64]


def test_endless_repacking_ends_in_an_error(filled, unit_vectors) -> None:
    def repack(exchange):
        if exchange.rpc.path.endswith("Search"):
            collection = filled.server.collections["plants"]
            collection.factor = 8 if collection.factor == 4 else 4

    filled.faults = repack
    with pytest.raises(PackingChanged, match="try again"):
        filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], 3))


def test_a_transport_retry_sends_the_same_bytes(filled, unit_vectors) -> None:
    broken = iter([-1, 0, 1])
    filled.exchanges.clear()
    filled.faults = lambda exchange: next(broken, None) if exchange.rpc.path.endswith("Search") else None
    assert filled(filled.protocol.search_vector("plants", unit_vectors(40)[3], 1))[0].id == "row-3"
    searches = [exchange for exchange in filled.exchanges if exchange.rpc.path.endswith("Search")]
    assert len(searches) == 4
    assert len({b"".join(r.SerializeToString() for r in search.requests) for search in searches}) == 1


def test_two_searches_never_share_an_encryption(filled, unit_vectors) -> None:
    for _ in range(3):
        filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], 1))
    searches = [exchange for exchange in filled.exchanges if exchange.rpc.path.endswith("Search")]
    seeds = {request.query[:64] for search in searches for request in search.requests[1:]}
    assert len(seeds) == len(searches) == 3


def test_a_reply_lost_after_the_work_was_done_enrols_exactly_once(filled, unit_vectors) -> None:
    broken = iter([0, 0])
    filled.faults = lambda exchange: next(broken, None) if exchange.rpc.path.endswith("EnrolRows") else None
    report = filled(filled.protocol.enrol_vectors("plants", ["late"], unit_vectors(1), None))
    assert report.ids == ("late",)
    assert filled(filled.protocol.count("plants")) == 41


def test_creation_and_deletion_survive_lost_replies(device) -> None:
    broken = iter([0, -1])
    device.faults = lambda exchange: next(broken, None) if "Collection/" not in exchange.rpc.path else None
    device(device.protocol.create_collection("plants", None, 16, None, True))
    broken = iter([0])
    device.faults = lambda exchange: next(broken, None) if exchange.rpc.path.endswith("DeleteCollection") else None
    device(device.protocol.delete_collection("plants"))
    assert not device.server.collections


def test_an_erased_row_is_gone_from_server_and_device(filled, unit_vectors) -> None:
    assert filled(filled.protocol.erase("plants", "row-7")) == 1
    assert "row-7" not in {hit.id for hit in filled(filled.protocol.search_vector("plants", unit_vectors(40)[7], 40))}
    with pytest.raises(RowNotFound, match="row-7"):
        filled(filled.protocol.get("plants", "row-7"))
    assert len(filled(filled.protocol.list("plants", None, 0))) == 39


def test_erasing_a_row_that_is_not_there_erases_nothing(filled) -> None:
    with pytest.raises(RowNotFound, match="nowhere"):
        filled(filled.protocol.erase("plants", ["row-1", "nowhere"]))
    assert filled(filled.protocol.count("plants")) == 40


def test_erasing_many_rows_is_one_request_carried_out_whole_or_not_at_all(device, unit_vectors) -> None:
    ids = [str(at) for at in range(1500)]
    device(device.protocol.create_collection("many", None, 16, None, True))
    device(device.protocol.enrol_vectors("many", ids, unit_vectors(1500), None))
    rows, honest = device.server.collections["many"].rows, device.server.on_erase_rows

    def another_device_is_faster(requests):
        rows.pop(list(rows)[1400])
        return honest(requests)

    device.server.on_erase_rows = another_device_is_faster
    with pytest.raises(RowNotFound):
        device(device.protocol.erase("many", ids))
    assert len(rows) == 1499
    assert device.server.log.count("EraseRows") == 1


def test_an_erasure_in_several_requests_says_how_far_it_came(filled, monkeypatch) -> None:
    monkeypatch.setattr("unseen_client.flows.rows.ROWS_PER_ERASURE", 16)
    honest, answers = filled.server.on_erase_rows, iter([True, True, False])

    def then_not(requests):
        if not next(answers):
            raise RowNotFound("a row is not there")
        return honest(requests)

    filled.server.on_erase_rows = then_not
    with pytest.raises(RowNotFound) as caught:
        filled(filled.protocol.erase("plants", IDS))
    assert caught.value.__notes__ == ["32 of 40 were erased before this"]
    filled.server.on_erase_rows = honest
    assert filled(filled.protocol.erase("plants", IDS[32:])) == 8


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_every_vector_is_checked_before_any_is_sent(device, unit_vectors, wrong) -> None:
    device(device.protocol.create_collection("many", None, 16, None, True))
    vectors = unit_vectors(1500)
    vectors[1205] = wrong
    with pytest.raises(InvalidVector, match="vector 1205 "):
        device(device.protocol.enrol_vectors("many", [str(at) for at in range(1500)], vectors, None))
    assert not device.server.collections["many"].rows


def test_a_device_without_the_key_is_told_to_import_it(filled, new_device, unit_vectors) -> None:
    stranger = new_device(filled.server)
    for flow in (
        stranger.protocol.search_vector("plants", unit_vectors(1)[0], 1),
        stranger.protocol.list("plants", None, 0),
        stranger.protocol.enrol_vectors("plants", ["x"], unit_vectors(1), None),
    ):
        with pytest.raises(KeyMissing, match="unseen keys import"):
            stranger(flow)
    assert "Search" not in filled.server.log
    assert stranger(stranger.protocol.count("plants")) == 40


def test_a_collection_made_again_under_its_name_is_noticed(filled, new_device, unit_vectors) -> None:
    other = new_device(filled.server, filled.session.home)  # the same device, another process
    filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], 1))
    other(other.protocol.delete_collection("plants"))
    with pytest.raises(CollectionNotFound):
        filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], 1))
    other(other.protocol.create_collection("plants", None, 16, None, True))
    other(other.protocol.enrol_vectors("plants", ["only"], unit_vectors(1), None))
    assert [hit.id for hit in filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], 5))] == ["only"]


def test_deleting_a_collection_destroys_its_key_and_mirror(filled) -> None:
    files = list(filled.session.home.rglob("*.*"))
    assert len([path for path in files if path.suffix in {".json", ".sqlite"}]) == 2
    filled(filled.protocol.delete_collection("plants"))
    (left,) = (path for path in filled.session.home.rglob("*.*") if path.is_file())
    assert (left.name, left.read_bytes()) == (LOCK_NAME, b"")


def test_an_empty_collection_gives_no_hits(device, unit_vectors) -> None:
    device(device.protocol.create_collection("plants", None, 16, None, True))
    assert device(device.protocol.search_vector("plants", unit_vectors(1)[0], 5)) == []
    assert device(device.protocol.list("plants", None, 0)) == []


def test_lists_come_in_the_order_of_enrolment_and_in_pages(filled) -> None:
    assert [one.id for one in filled(filled.protocol.list("plants", None, 0))] == IDS
    assert [one.id for one in filled(filled.protocol.list("plants", 3, 10))] == IDS[10:13]


def test_images_and_vectors_do_not_mix(filled) -> None:
    filled.server.collections["plants"].model_id = "some-model"
    with pytest.raises(ModelMismatch, match="some-model"):
        filled(filled.protocol.enrol_vectors("plants", ["x"], np.ones((1, 16)), None))


@pytest.mark.parametrize(
    ("ids", "vectors", "error"),
    [
        (["a"], np.ones((2, 16)), InvalidVector),
        (["a"], np.ones(16), InvalidVector),
        (["a"], np.ones((1, 17)), InvalidVector),
        (["a"], np.zeros((1, 16)), InvalidVector),
        (["a"], np.full((1, 16), np.nan), InvalidVector),
        (["a"], [["x"] * 16], InvalidVector),
        (["a", "a"], np.ones((2, 16)), InvalidInput),
        ([""], np.ones((1, 16)), InvalidInput),
        ([7], np.ones((1, 16)), InvalidInput),
        (["a" * 513], np.ones((1, 16)), InvalidInput),
    ],
)
def test_what_cannot_be_a_row_is_refused_on_the_device(filled, ids, vectors, error) -> None:
    asked = len(filled.server.received)
    filled.server.log.clear()
    with pytest.raises(error):
        filled(filled.protocol.enrol_vectors("plants", ids, vectors, None))
    assert "EnrolRows" not in filled.server.log
    assert len(filled.server.received) - asked < 200


@pytest.mark.parametrize("top_k", [0, -1])
def test_no_hits_cannot_be_asked_for(filled, top_k, unit_vectors) -> None:
    with pytest.raises(InvalidInput, match="top_k"):
        filled(filled.protocol.search_vector("plants", unit_vectors(1)[0], top_k))


def test_a_query_of_another_dimension_is_refused_on_the_device(filled) -> None:
    with pytest.raises(InvalidVector, match="16"):
        filled(filled.protocol.search_vector("plants", np.ones(17), 1))
    assert "Search" not in filled.server.log


def test_two_collections_cannot_have_one_name(filled) -> None:
    with pytest.raises(CollectionExists):
        filled(filled.protocol.create_collection("plants", None, 8, None, True))


def test_model_and_dimension_exclude_each_other(device) -> None:
    with pytest.raises(InvalidInput, match="not both"):
        device(device.protocol.create_collection("plants", "bundled", 16, None, True))
    with pytest.raises(InvalidInput, match="bundled"):
        device(device.protocol.create_collection("plants", "unheard-of", None, None, True))


def test_an_interrupted_enrolment_says_how_far_it_came(device, unit_vectors) -> None:
    device(device.protocol.create_collection("many", None, 16, None, True))
    streams = []
    device.faults = lambda exchange: (
        -1 if exchange.rpc.path.endswith("EnrolRows") and streams.append(1) is None and len(streams) > 1 else None
    )
    ids = [str(at) for at in range(1500)]
    with pytest.raises(ServerUnavailable) as caught:
        device(device.protocol.enrol_vectors("many", ids, unit_vectors(1500), None))
    assert any("1000 of 1500" in note for note in caught.value.__notes__)
    device.faults = lambda exchange: None
    again = device(device.protocol.enrol_vectors("many", ids, unit_vectors(1500), None))
    assert (again.enrolled, len(again.already)) == (500, 1000)
