"""Nothing is done and nothing is answered that the audit log does not hold: seen from outside, on a real server."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.in_process import in_thread
from tests.waiting import until
from unseen.audit import tree
from unseen.audit.frames import FrameFile
from unseen.audit.head import open_head
from unseen.audit.leaf import leaf_fields
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.audit.receipt import METADATA_KEY, Receipt
from unseen.entropy import random_uid
from unseen.v1 import audit_pb2, audit_pb2_grpc, collections_pb2, index_pb2, index_pb2_grpc, search_pb2_grpc
from unseen_server import app, refusals
from unseen_server.sealed_collection import SealedCollection

Make = Callable[..., Any]
Leaves = list[dict[str, Any]]


def leaves_of(running: app.RunningServer, tenant: str = "") -> Leaves:
    return [leaf_fields(leaf) for leaf in running.audit.log_of(tenant).leaves()]


def said(leaves: Leaves) -> list[tuple[object, object]]:
    return [(leaf["act"], leaf["outcome"]) for leaf in leaves]


# What is written


async def test_every_change_leaves_two_leaves_and_every_read_one(
    running: app.RunningServer, call: Make, make_rows: Make
) -> None:
    caller = call(running)
    vectors, batch = make_rows(5)
    collection = await in_thread(caller.create)
    enrol_id, erase_id = random_uid(), random_uid()
    await in_thread(caller.enrol, collection.uid, batch, enrol_id)
    collection = await in_thread(caller.collection)
    await in_thread(caller.search, collection, vectors[0])
    await in_thread(caller.sync, collection.uid)
    await in_thread(caller.erase, collection.uid, batch.row_ids[:2], erase_id)
    await in_thread(caller.delete, collection.uid)
    await in_thread(caller.info)
    leaves = leaves_of(running)
    assert said(leaves) == [
        ("server-started", "OK"),
        ("CreateCollection", "ASKED"),
        ("CreateCollection", "OK"),
        ("EnrolRows", "ASKED"),
        ("EnrolRows", "OK"),
        ("GetCollection", "OK"),
        ("Search", "OK"),
        ("SyncCatalogue", "OK"),
        ("EraseRows", "ASKED"),
        ("EraseRows", "OK"),
        ("DeleteCollection", "ASKED"),
        ("DeleteCollection", "OK"),
    ]
    assert [leaf["asked"] for leaf in leaves if "asked" in leaf] == [1, 3, 8, 10]
    assert {leaf["collection"] for leaf in leaves[2:]} == {collection.uid.hex()} | {leaves[2]["collection"]}
    assert (leaves[4]["request"], leaves[4]["rows"]) == (enrol_id.hex(), 5)
    assert (leaves[9]["request"], leaves[9]["rows"]) == (erase_id.hex(), 2)
    assert {leaf["who"] for leaf in leaves[1:]} == {"local"}


async def test_a_change_that_is_refused_says_so_in_its_second_leaf(
    running: app.RunningServer, call: Make, make_rows: Make
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    batch = make_rows(2)[1]
    await in_thread(caller.enrol, collection.uid, batch)
    refusal = await in_thread(caller.refusal, caller.enrol, collection.uid, batch)
    assert refusal.code == "ROW_EXISTS"
    leaves = leaves_of(running)
    assert said(leaves)[-2:] == [("EnrolRows", "ASKED"), ("EnrolRows", "ROW_EXISTS")]
    assert leaves[-1]["asked"] == len(leaves) - 2


@pytest.fixture
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window in which refusals are counted ends when a test ends it, however slow its calls are."""
    monkeypatch.setattr(refusals, "WINDOW_S", 1e6)


@pytest.mark.usefixtures("one_window")
async def test_a_flood_of_refused_calls_leaves_one_leaf_and_one_count_and_as_few_log_lines(
    running: app.RunningServer, call: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caller = call(running)
    for _ in range(200):
        await in_thread(caller.refusal, caller.collection, "none")
    running.refusals.end_window()
    await in_thread(running.audit.record_now, refusals.STRANGER, "end")
    found = [leaf for leaf in leaves_of(running) if leaf["outcome"] == "COLLECTION_NOT_FOUND"]
    assert sum(leaf.get("count", 1) for leaf in found) == 200
    assert len(found) == 2
    lines = [one for one in caplog.records if getattr(one, "code", "") == "COLLECTION_NOT_FOUND"]
    assert len(lines) == len(found)
    assert sum(getattr(one, "count", 1) for one in lines) == 200
    assert {one.getMessage() for one in lines} == {"call refused", "more calls refused"}


async def test_an_answer_without_a_message_is_written_down_as_well(running: app.RunningServer, call: Make) -> None:
    assert await in_thread(call(running).tokens) == []
    assert said(leaves_of(running))[-1] == ("ListTokens", "OK")


# When it is written


class Gate:
    """Lets some writes of the audit log through and holds the next one until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, let_through: int = 0) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        true_append = FrameFile.append
        writes = itertools.count()

        def held(*args: Any) -> None:
            if next(writes) >= let_through:
                self.reached.set()
                assert self.opened.wait(60)
            true_append(*args)

        monkeypatch.setattr(FrameFile, "append", held)


async def test_no_score_leaves_before_the_search_is_written_down(
    running: app.RunningServer, call: Make, make_rows: Make, search_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    vectors, batch = make_rows(300)
    await in_thread(caller.enrol, collection.uid, batch)
    collection = await in_thread(caller.collection)
    query, _ = caller.encrypted(collection, vectors[0])
    gate = Gate(monkeypatch)
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        replies = search_pb2_grpc.SearchServiceStub(channel).Search(iter(search_of(collection, query)))
        first = asyncio.create_task(replies.read())
        assert await in_thread(gate.reached.wait, 60)
        await asyncio.sleep(0.3)
        assert not first.done(), "an answer began to leave while its leaf was not on disk"
        gate.opened.set()
        assert (await first).header.slots == 300


async def test_nothing_is_changed_before_the_attempt_is_written_down(
    running: app.RunningServer, call: Make, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    gate = Gate(monkeypatch)
    enrolling = asyncio.create_task(in_thread(caller.enrol, collection.uid, make_rows(3)[1]))
    assert await in_thread(gate.reached.wait, 60)
    await asyncio.sleep(0.3)
    assert running.engine.rows == 0
    gate.opened.set()
    await enrolling
    assert running.engine.rows == 3


async def test_no_change_is_acknowledged_before_its_outcome_is_written_down(
    running: app.RunningServer, call: Make, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    gate = Gate(monkeypatch, let_through=1)
    enrolling = asyncio.create_task(in_thread(caller.enrol, collection.uid, make_rows(3)[1]))
    assert await in_thread(gate.reached.wait, 60)
    await asyncio.sleep(0.3)
    assert running.engine.rows == 3
    assert not enrolling.done(), "a change was acknowledged while its outcome was not on disk"
    gate.opened.set()
    await enrolling
    assert said(leaves_of(running))[-1] == ("EnrolRows", "OK")


# When it cannot be written


async def test_a_full_disk_refuses_calls_and_says_not_serving_until_there_is_room(
    running: app.RunningServer, call: Make, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen_server.audit.TRY_AGAIN_S", 0.1)
    caller = call(running)
    collection = await in_thread(caller.create)
    vectors, batch = make_rows(3)
    await in_thread(caller.enrol, collection.uid, batch)
    collection = await in_thread(caller.collection)
    with monkeypatch.context() as patch:
        patch.setattr("unseen.audit.frames._write_all", no_room)
        for attempt in (
            (caller.search, collection, vectors[0]),
            (caller.enrol, collection.uid, make_rows(1)[1]),
            (caller.erase, collection.uid, batch.row_ids[:1]),
            (caller.sync, collection.uid),
        ):
            refusal = await in_thread(caller.refusal, *attempt)
            assert (refusal.code, refusal.status) == ("AUDIT_UNAVAILABLE", "UNAVAILABLE")
        assert running.engine.rows == 3, "something was changed that is not written down"
        assert await in_thread(health_of, caller) == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await in_thread(caller.info), "what says nothing of anybody's data is still answered"
    await in_thread(wait_until_serving, caller)
    assert (await in_thread(caller.search, collection, vectors[0])).argmax() == 0
    assert await in_thread(running.audit.log_of("").verify) == running.audit.log_of("").size


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def wait_until_serving(caller: Any) -> None:
    until("the server serves again", lambda: health_of(caller) == health_pb2.HealthCheckResponse.SERVING)


def health_of(caller: Any, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return int(health_pb2_grpc.HealthStub(caller.channel).Check(request, timeout=30).status)


# Receipts, proofs, exports


def receipt_of(caller: Any, uid: bytes, row_ids: tuple[bytes, ...]) -> Receipt:
    request = index_pb2.EraseRowsRequest(request_id=random_uid(), collection_uid=uid, row_ids=b"".join(row_ids))
    _, done = index_pb2_grpc.IndexServiceStub(caller.channel).EraseRows.with_call(request, timeout=30)
    return Receipt.from_bytes(dict(done.trailing_metadata())[METADATA_KEY])


async def test_receipts_are_proven_by_later_heads_which_go_on_from_theirs(
    running: app.RunningServer, call: Make, make_rows: Make
) -> None:
    caller = call(running)
    stub = audit_pb2_grpc.AuditServiceStub(caller.channel)
    collection = await in_thread(caller.create)
    batch = make_rows(3)[1]
    await in_thread(caller.enrol, collection.uid, batch)
    info = await in_thread(caller.info)
    receipts = [await in_thread(receipt_of, caller, collection.uid, (row_id,)) for row_id in batch.row_ids]
    await in_thread(caller.collection)
    newest = await in_thread(stub.GetTreeHead, audit_pb2.GetTreeHeadRequest())
    now = open_head(newest.head, info.audit_origin, info.signing_keys)
    assert now.size == running.audit.log_of("").size
    for receipt in receipts:
        then = open_head(receipt.head, info.audit_origin, info.signing_keys)
        shown = await in_thread(stub.GetTreeHead, audit_pb2.GetTreeHeadRequest(known_size=then.size))
        verify_consistency(then.size, then.root, now.size, now.root, shown.consistency)
        proof = await in_thread(stub.ProveInclusion, audit_pb2.ProveInclusionRequest(index=receipt.index))
        verify_inclusion(tree.leaf_hash(receipt.leaf), receipt.index, now.size, proof.inclusion, now.root)
        assert leaf_fields(receipt.leaf)["act"] == "EraseRows"


async def test_an_export_begins_where_it_is_asked_to_and_gives_the_signed_root(
    running: app.RunningServer, call: Make
) -> None:
    caller = call(running)
    for _ in range(6):
        await in_thread(caller.refusal_if_any, list_collections, caller)
    stub = audit_pb2_grpc.AuditServiceStub(caller.channel)
    everything = list(running.audit.log_of("").leaves())
    for first in (0, 3, len(everything), 1000):
        parts = await in_thread(list, stub.ExportLeaves(audit_pb2.ExportLeavesRequest(first_index=first)))
        begin, head = parts[0].begin, parts[-1].head
        leaves = [leaf for part in parts[1:-1] for leaf in part.page.leaves]
        edge = tree.RightEdge(begin.first_index, list(begin.subtrees))
        for leaf in leaves:
            edge.append(tree.leaf_hash(leaf))
        covered = open_head(head, running.audit.origin_of(""), running.audit.public_keys)
        assert (covered.size, covered.root) == (edge.size, edge.root())
        assert begin.first_index == min(first, covered.size)
    assert [leaf_fields(leaf)["act"] for leaf in everything][1:] == ["ListCollections"] * 6


async def test_an_export_since_a_time_leaves_out_what_came_before(running: app.RunningServer, call: Make) -> None:
    caller = call(running)
    await in_thread(list_collections, caller)
    stub = audit_pb2_grpc.AuditServiceStub(caller.channel)
    for since_ms, expected in ((0, 2), (4_000_000_000_000, 0)):
        request = audit_pb2.ExportLeavesRequest(since_ms=since_ms)
        parts = await in_thread(list, stub.ExportLeaves(request))
        assert sum(len(part.page.leaves) for part in parts) >= expected
        assert (parts[0].begin.first_index == 0) == (since_ms == 0)
    refusal = await in_thread(
        caller.refusal, lambda: list(stub.ExportLeaves(audit_pb2.ExportLeavesRequest(since_ms=1 << 63)))
    )
    assert refusal.code == "INVALID_INPUT"


async def test_a_proof_of_a_leaf_that_is_not_there_is_not_found(running: app.RunningServer, call: Make) -> None:
    stub = audit_pb2_grpc.AuditServiceStub(call(running).channel)
    for index in (1 << 20, (1 << 64) - 1):
        with pytest.raises(grpc.RpcError) as refused:
            await in_thread(stub.ProveInclusion, audit_pb2.ProveInclusionRequest(index=index))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    ahead = await in_thread(stub.GetTreeHead, audit_pb2.GetTreeHeadRequest(known_size=(1 << 64) - 1))
    assert not ahead.consistency


def list_collections(caller: Any) -> Any:
    return caller.raw(
        "CollectionService/ListCollections", [collections_pb2.ListCollectionsRequest().SerializeToString()]
    )


# Leaves that are written while the answer is prepared


async def leaf_behind(running: app.RunningServer, act: str, outcome: str) -> dict[str, Any]:
    """The newest leaf of an act with this outcome, when everything that waits is written."""
    await in_thread(running.audit.record_now, refusals.STRANGER, "end")
    return next(leaf for leaf in reversed(leaves_of(running)) if (leaf["act"], leaf["outcome"]) == (act, outcome))


@pytest.mark.usefixtures("one_window")
async def test_searches_whose_query_is_cut_never_said_that_they_would_be_answered_and_fill_no_log(
    running: app.RunningServer, call: Make, make_rows: Make, search_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    caller = call(running)
    collection = await in_thread(caller.create)
    await in_thread(caller.enrol, collection.uid, make_rows(3)[1])
    collection = await in_thread(caller.collection)
    messages = [part.SerializeToString() for part in search_of(collection, bytes(100))]
    for _ in range(20):
        refusal = await in_thread(caller.refusal, caller.raw, "SearchService/Search", messages)
        assert refusal.code == "MALFORMED_MESSAGE"
    running.refusals.end_window()
    await leaf_behind(running, "Search", "MALFORMED_MESSAGE")
    searches = [outcome for act, outcome in said(leaves_of(running)) if act == "Search"]
    assert searches == ["MALFORMED_MESSAGE"] * 2, "a flood of refusals was written down one by one"
    assert sum("call refused" in line for line in caplog.messages) == 1


class Scan:
    """Stands where a scan begins, and does not let it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.goes_on = threading.Event()
        answer = SealedCollection.answer

        def wait(*args: Any) -> None:
            self.goes_on.wait(60)
            answer(*args)

        monkeypatch.setattr(SealedCollection, "answer", wait)


@pytest.mark.parametrize("why", ["its caller left", "it took too long"])
async def test_a_search_that_is_not_answered_after_all_takes_its_leaf_back_once(
    running: app.RunningServer, call: Make, make_rows: Make, search_of: Make, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    vectors, batch = make_rows(3)
    await in_thread(caller.enrol, collection.uid, batch)
    collection = await in_thread(caller.collection)
    query, _ = caller.encrypted(collection, vectors[0])
    scan = Scan(monkeypatch)
    if why == "it took too long":
        monkeypatch.setattr("unseen_server.limits.MAX_SEARCH_S", 5.0)
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        search = search_pb2_grpc.SearchServiceStub(channel).Search(iter(search_of(collection, query)))
        await in_thread(until, "the search is written down", lambda: ("Search", "OK") in said(leaves_of(running)))
        if why == "its caller left":
            search.cancel()
        else:
            with pytest.raises(aio.AioRpcError) as refused:
                await search.read()
            assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await in_thread(until, "it is taken back", lambda: said(leaves_of(running))[-1] != ("Search", "OK"))
    scan.goes_on.set()
    taken_back = await leaf_behind(running, "Search", "CANCELLED")
    leaves = leaves_of(running)
    assert leaves[taken_back["asked"]]["outcome"] == "OK"
    assert taken_back["collection"] == collection.uid.hex()
    assert [outcome for act, outcome in said(leaves) if act == "Search"] == ["OK", "CANCELLED"]


async def test_a_search_that_is_refused_at_its_header_never_said_that_it_would_be_answered(
    running: app.RunningServer, call: Make, make_rows: Make, search_of: Make
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    messages = [part.SerializeToString() for part in search_of(collection, b"", parameter_id="other")]
    assert (await in_thread(caller.refusal, caller.raw, "SearchService/Search", messages)).code == "PARAMETER_MISMATCH"
    refused = await leaf_behind(running, "Search", "PARAMETER_MISMATCH")
    assert "asked" not in refused
    assert ("Search", "OK") not in said(leaves_of(running))
