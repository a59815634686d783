"""What the server promises to a caller that speaks rightly: a real process, a real channel, real ciphertexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.noise import MOST_COSINE_ERROR
from unseen import params
from unseen.entropy import random_uid
from unseen.types import RowBatch

Make = Callable[..., Any]


def some(batch: RowBatch, part: slice) -> RowBatch:
    return RowBatch(batch.row_ids[part], batch.vectors[part], batch.sealed_records[part])


def test_server_says_what_it_takes(caller: Any) -> None:
    info = caller.info()
    assert len(info.store_uid) == 16
    assert list(info.parameter_ids) == [parameters.id for parameters in (*params.PUBLISHED, *params.OWNER_PUBLISHED)]
    assert min(info.max_rows_per_enrolment, info.max_message_bytes, info.max_record_bytes) > 0


def test_health_answers_for_every_service(caller: Any) -> None:
    stub = health_pb2_grpc.HealthStub(caller.channel)
    for service in ("", "unseen.v1.SearchService", "unseen.v1.IndexService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_collections_are_made_found_listed_and_deleted(caller: Any) -> None:
    made = [caller.create(f"{name}-collection", dimension=8) for name in ("b", "a")]
    assert caller.collection("a-collection") == made[1]
    caller.delete(made[0].uid)
    assert caller.refusal(caller.collection, "b-collection").code == "COLLECTION_NOT_FOUND"
    assert caller.create("b-collection").uid != made[0].uid


@pytest.mark.parametrize("dimension", [8, 16, 50, 512])
def test_scores_agree_with_numpy(caller: Any, make_rows: Make, dimension: int) -> None:
    collection = caller.create(random_uid().hex(), dimension=dimension)
    vectors, batch = make_rows(700, dimension)
    caller.enrol(collection.uid, batch)
    query = vectors[3] + 0.1 * vectors[4]
    scores = caller.search(caller.collection(collection.name), query)
    np.testing.assert_allclose(scores, vectors @ query / np.linalg.norm(query), atol=MOST_COSINE_ERROR)


def test_empty_collection_answers_with_no_scores(caller: Any, fresh_collection: Any) -> None:
    assert caller.search(fresh_collection, np.ones(16, np.float32)).size == 0


def test_enrolled_row_is_in_the_very_next_answer_and_an_erased_one_never(
    caller: Any, fresh_collection: Any, make_rows: Make
) -> None:
    vectors, batch = make_rows(5)
    caller.enrol(fresh_collection.uid, batch)
    now = caller.collection(fresh_collection.name)
    assert caller.search(now, vectors[2])[2] > 0.98
    caller.erase(fresh_collection.uid, batch.row_ids[2:3])
    now = caller.collection(fresh_collection.name)
    assert (now.rows, now.slots, now.epoch) == (4, 5, 2)
    assert abs(caller.search(now, vectors[2])[2]) < MOST_COSINE_ERROR


def test_mirror_follows_slots_through_enrolment_erasure_and_reuse(
    caller: Any, fresh_collection: Any, make_rows: Make
) -> None:
    uid = fresh_collection.uid
    _, batch = make_rows(300)
    caller.enrol(uid, batch)
    epoch, added, erased = caller.sync(uid)
    assert (epoch, erased, len(added)) == (1, [], 300)
    caller.erase(uid, batch.row_ids[:2])
    later_vectors, later = make_rows(1)
    caller.enrol(uid, later)
    epoch, added, erased = caller.sync(uid, since=1)
    assert (epoch, erased) == (3, sorted(batch.row_ids[:2])) or set(erased) == set(batch.row_ids[:2])
    assert added[later.row_ids[0]].slot == 0
    assert added[later.row_ids[0]].sealed_record == later.sealed_records[0]
    assert caller.search(caller.collection(fresh_collection.name), later_vectors[0])[0] > 0.98


def test_growth_changes_the_packing_and_says_so_to_an_older_query(caller: Any, make_rows: Make) -> None:
    small = caller.create(random_uid().hex(), dimension=512)
    vectors, batch = make_rows(1024, 512)
    caller.enrol(small.uid, some(batch, slice(0, 1)))
    small = caller.collection(small.name)
    caller.enrol(small.uid, some(batch, slice(1, 1024)))
    grown = caller.collection(small.name)
    assert grown.packing_factor != small.packing_factor
    assert caller.refusal(caller.search, small, vectors[5]).code == "PACKING_CHANGED"
    scores = caller.search(grown, vectors[5])
    np.testing.assert_allclose(scores, vectors @ vectors[5], atol=MOST_COSINE_ERROR)


def test_restart_gives_the_same_answers(make_server: Make, call: Make, make_rows: Make) -> None:
    server = make_server().start()
    before = call(server)
    collection = before.create(dimension=24)
    vectors, batch = make_rows(500, 24)
    before.enrol(collection.uid, batch)
    before.erase(collection.uid, batch.row_ids[100:150])
    seen = (before.info().store_uid, before.collection(), before.sync(collection.uid))
    scores = before.search(before.collection(), vectors[7])
    before.close()
    assert server.stop() == 0
    after = call(server.start())
    assert (after.info().store_uid, after.collection(), after.sync(collection.uid)) == seen
    np.testing.assert_allclose(after.search(after.collection(), vectors[7]), scores, atol=2 * MOST_COSINE_ERROR)


def test_repeated_requests_are_answered_and_done_once(caller: Any, fresh_collection: Any, make_rows: Make) -> None:
    uid = fresh_collection.uid
    _, batch = make_rows(3)
    enrol_id, erase_id = random_uid(), random_uid()
    answers = [caller.enrol(uid, batch, enrol_id) for _ in range(3)]
    assert [(answer.epoch, answer.repeated_request) for answer in answers] == [(1, False), (1, True), (1, True)]
    answers = [caller.erase(uid, batch.row_ids[:1], erase_id) for _ in range(2)]
    assert [(answer.epoch, answer.repeated_request) for answer in answers] == [(2, False), (2, True)]
    assert caller.collection(fresh_collection.name).epoch == 2


def test_replayed_requests_are_refused(caller: Any, fresh_collection: Any, make_rows: Make) -> None:
    uid = fresh_collection.uid
    _, batch = make_rows(3)
    enrol_id, erase_id, delete_id = random_uid(), random_uid(), random_uid()
    caller.enrol(uid, batch, enrol_id)
    caller.erase(uid, batch.row_ids[:1], erase_id)
    assert caller.refusal(caller.enrol, uid, batch, enrol_id).code == "REQUEST_REPLAYED"
    assert caller.refusal(caller.erase, uid, batch.row_ids[1:], erase_id).code == "REQUEST_REPLAYED"
    caller.enrol(uid, some(batch, slice(0, 1)))
    assert caller.refusal(caller.erase, uid, batch.row_ids[:1], erase_id).code == "REQUEST_REPLAYED"
    caller.delete(uid, delete_id)
    caller.delete(uid, delete_id)
    assert caller.refusal(caller.enrol, uid, batch, enrol_id).code == "REQUEST_REPLAYED"
    assert caller.refusal(caller.erase, uid, batch.row_ids[:1], erase_id).code == "REQUEST_REPLAYED"
    assert caller.refusal(caller.enrol, uid, batch).code == "COLLECTION_NOT_FOUND"


def test_log_holds_no_name_no_id_and_no_content(server: Any, caller: Any, make_rows: Make) -> None:
    collection = caller.create("a-telling-name")
    _, batch = make_rows(2)
    caller.enrol(collection.uid, batch)
    caller.refusal(caller.enrol, collection.uid, batch)
    caller.refusal(caller.collection, "another-telling-name")
    log = server.log()
    assert '"code": "ROW_EXISTS"' in log
    for secret in ("telling", collection.uid.hex(), batch.row_ids[0].hex()):
        assert secret not in log
