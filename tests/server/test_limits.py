"""Limits hold, the refused are told why, and a busy server still says that it is healthy."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.in_process import config, in_thread, scan
from unseen import params
from unseen.entropy import random_uid
from unseen.he.mask import insecure_no_mask
from unseen_server import app, limits
from unseen_server.call import LOCAL
from unseen_server.services.search import SearchService
from unseen_server.workers import CHANGE_THREADS, Workers

Make = Callable[..., Any]


async def test_call_above_the_limit_is_told_to_wait_and_health_still_answers(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CALLS", 2)
    entered, release = threading.Semaphore(0), threading.Event()

    def slow(*request: Any) -> None:
        entered.release()
        release.wait(30)

    monkeypatch.setattr(running.engine, "for_mutation", slow)
    caller = call(running)
    erase = (caller.erase, random_uid(), [random_uid()])
    under_way = [asyncio.create_task(in_thread(caller.refusal, *erase)) for _ in range(2)]
    for _ in under_way:
        assert await in_thread(entered.acquire)
    refusal = await in_thread(caller.refusal, caller.info)
    assert (refusal.status, refusal.code) == ("RESOURCE_EXHAUSTED", "SERVER_BUSY")
    answer = await in_thread(health_pb2_grpc.HealthStub(caller.channel).Check, health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    release.set()
    await asyncio.gather(*under_way)
    assert len((await in_thread(caller.info)).store_uid) == 16


async def test_client_that_pauses_in_a_stream_is_cut(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch, enrolment_of: Make, make_rows: Make
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    header = enrolment_of(collection.uid, make_rows(3)[1], random_uid())[0].SerializeToString()
    monkeypatch.setattr(limits, "MAX_PAUSE_S", 0.05)
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_unary("/unseen.v1.IndexService/EnrolRows")()
        with contextlib.suppress(aio.AioRpcError):  # a slow client is cut while it writes
            await stream.write(header)
        with pytest.raises(aio.AioRpcError) as cut:
            await stream
    assert cut.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert ("unseen-code", "DEADLINE_EXCEEDED") in list(cut.value.trailing_metadata())


@pytest.mark.parametrize(
    "method",
    ["unseen.v1.InfoService/GetServerInfo", "unseen.v1.SearchService/Search", "grpc.health.v1.Health/Check"],
)
async def test_call_that_never_sends_its_message_is_cut(
    running: app.RunningServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Of a method with one request gRPC would wait for that request itself, for ever, and hold one of its places."""
    monkeypatch.setattr(limits, "MAX_PAUSE_S", 0.05)
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        call = channel.stream_stream(f"/{method}")()
        with pytest.raises(aio.AioRpcError) as cut:
            await asyncio.wait_for(_taken(call), 30)
        assert cut.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def _taken(replies: Any) -> list[bytes]:
    return [reply async for reply in replies]


async def test_health_calls_are_limited(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_HEALTH_CALLS", 1)
    caller = call(running)
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        check = health_pb2_grpc.HealthStub(caller.channel).Check
        assert (await in_thread(caller.refusal, check, health_pb2.HealthCheckRequest())).code == "SERVER_BUSY"
        assert len((await in_thread(caller.info)).store_uid) == 16
        watch.cancel()


async def test_call_that_takes_too_long_is_cut(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CALL_S", 0.05)
    release = threading.Event()
    monkeypatch.setattr(running.engine, "create", lambda *request: release.wait(30))
    caller = call(running)
    refusal = await in_thread(caller.refusal, caller.create)
    release.set()
    assert (refusal.status, refusal.code) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")


async def test_bytes_under_way_are_limited(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch, make_rows: Make
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    monkeypatch.setattr(limits, "MAX_BYTES_UNDER_WAY", 1000)
    with running.workers.holding(1):
        refusal = await in_thread(caller.refusal, caller.search, collection, np.ones(16, np.float32))
        assert refusal.code == "SERVER_BUSY"
        refusal = await in_thread(caller.refusal, caller.enrol, collection.uid, make_rows(50)[1])
        assert refusal.code == "SERVER_BUSY"
        assert (await in_thread(caller.refusal, caller.sync, collection.uid)).code == "SERVER_BUSY"
    assert (await in_thread(caller.search, collection, np.ones(16, np.float32))).size == 0


async def test_collections_are_limited(running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COLLECTIONS", 1)
    caller = call(running)
    await in_thread(caller.create, "first")
    assert (await in_thread(caller.refusal, caller.create, "second")).code == "LIMIT_EXCEEDED"


async def test_repeated_create_that_reached_the_limit_is_answered_again(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_COLLECTIONS", 1)
    caller = call(running)
    request_id = random_uid()
    first = await in_thread(lambda: caller.create("first", request_id=request_id))
    again = await in_thread(lambda: caller.create("first", request_id=request_id))
    assert again == first


async def test_searches_that_sent_only_a_header_hold_nothing(
    running: app.RunningServer, call: Make, search_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    reached = asyncio.Event()
    read_query = SearchService._read_query

    async def seen(*args: Any) -> bytes:
        reached.set()
        return await read_query(*args)

    monkeypatch.setattr(SearchService, "_read_query", seen)
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_stream("/unseen.v1.SearchService/Search")()
        await stream.write(search_of(collection, b"")[0].SerializeToString())
        await reached.wait()
        assert running.workers._bytes_held == 0
        stream.cancel()


async def test_mutations_that_wait_for_one_collection_leave_the_others_alone(
    running: app.RunningServer, call: Make, make_rows: Make
) -> None:
    """While one collection is re-packed any number of enrolments, and a deletion, may wait for it."""
    caller = call(running)
    busy, other = await in_thread(caller.create, "busy"), await in_thread(caller.create, "other")
    with running.engine.by_uid(LOCAL, busy.uid)._mutating:
        waiting = [
            asyncio.create_task(in_thread(caller.enrol, busy.uid, make_rows(3)[1])) for _ in range(CHANGE_THREADS + 1)
        ]
        while not (turn := running.workers._turns.get(busy.uid)) or len(turn._waiters or ()) < CHANGE_THREADS:
            await in_thread(caller.info)
        assert (await in_thread(caller.enrol, other.uid, make_rows(3)[1])).epoch == 1
        assert (await in_thread(caller.sync, other.uid))[0] == 1
    await asyncio.gather(*waiting)
    assert (await in_thread(caller.collection, "busy")).epoch == CHANGE_THREADS + 1


async def test_turn_lasts_as_long_as_the_work_of_a_caller_that_left() -> None:
    workers = Workers(lambda: None)
    entered, release = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        entered.set()
        release.wait(30)
        done.append("first")

    first = asyncio.create_task(workers.change_in_turn((b"turn",), slow))
    await in_thread(entered.wait)
    first.cancel()
    second = asyncio.create_task(workers.change_in_turn((b"turn",), done.append, "second"))
    await workers.change_in_turn((b"another",), done.append, "another")
    release.set()
    await second
    assert done == ["another", "first", "second"]
    workers.close()


async def test_synchronisation_does_not_pass_what_memory_holds(
    running: app.RunningServer, call: Make, make_rows: Make
) -> None:
    """A change is on disk before it is in memory: a mirror that took it in between would be ahead of every search."""
    caller = call(running)
    uid = (await in_thread(caller.create)).uid
    await in_thread(caller.enrol, uid, make_rows(3)[1])
    live = running.engine.by_uid(LOCAL, uid)
    with live._lock.reading():  # as a search that lasts
        enrolling = asyncio.create_task(in_thread(caller.enrol, uid, make_rows(2)[1]))
        while running.store.collections()[0].info.epoch < 2:
            await in_thread(caller.info)
        epoch, added, _ = await in_thread(caller.sync, uid)
        assert (epoch, len(added), live.info.epoch) == (1, 3, 1)
        assert await in_thread(caller.sync, uid, 1) == (1, {}, [])
    await enrolling
    assert (await in_thread(caller.sync, uid, 1))[0] == 2


async def test_waiting_scans_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SCANS_WAITING", 1)
    workers = Workers(lambda: None)
    release = threading.Event()

    def wait() -> None:
        release.wait(30)

    admitted = [scan(workers, wait) for _ in range(limits.SCANS_AT_ONCE + 1)]
    with pytest.raises(Exception, match="are under way"):
        scan(workers, lambda: None)
    release.set()
    await asyncio.gather(*admitted)
    await scan(workers, lambda: None)
    workers.close()


async def test_search_whose_client_leaves_stops_computing(
    running: app.RunningServer, call: Make, search_of: Make, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    await in_thread(caller.enrol, collection.uid, make_rows(50)[1])
    collection = await in_thread(caller.collection)
    live: Any = running.engine.by_uid(LOCAL, collection.uid)
    started, stopped = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def endless(query: bytes, slots: int, emit: Callable[[bytes], None], cancelled: Callable[[], bool]) -> None:
        loop.call_soon_threadsafe(started.set)
        while not cancelled():
            pass
        loop.call_soon_threadsafe(stopped.set)

    monkeypatch.setattr(live._index, "answer", endless)
    query = bytes(limits.KIB)
    monkeypatch.setattr("unseen.he.message.query_bytes", lambda *layout: len(query))
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_stream("/unseen.v1.SearchService/Search")()
        for part in search_of(collection, query):
            await stream.write(part.SerializeToString())
        await stream.done_writing()
        await started.wait()
        stream.cancel()
        await stopped.wait()


async def test_cancelled_calls_give_back_what_they_held(
    running: app.RunningServer, call: Make, search_of: Make, make_rows: Make, enrolment_of: Make
) -> None:
    caller = call(running)
    collection = await in_thread(caller.create)
    header = search_of(collection, b"")[0].SerializeToString()
    enrolment = [part.SerializeToString() for part in enrolment_of(collection.uid, make_rows(200)[1], random_uid())]
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        for turn in range(3 * limits.MAX_STREAMS_PER_CONNECTION):
            if not turn % 16:
                await in_thread(caller.info)  # the server comes to its turn, and sees who left
            search = channel.stream_stream("/unseen.v1.SearchService/Search")()
            enrol = channel.stream_unary("/unseen.v1.IndexService/EnrolRows")()
            with contextlib.suppress(aio.AioRpcError):  # a server that has not seen yet who left may refuse either
                await search.write(header)
            search.cancel()
            with contextlib.suppress(aio.AioRpcError):
                for part in enrolment[:2]:
                    await enrol.write(part)
            enrol.cancel()
    while running.workers._bytes_held:
        await in_thread(caller.info)
    assert (await in_thread(caller.collection)).rows == 0
    assert (await in_thread(caller.search, collection, np.ones(16, np.float32))).size == 0


async def test_masks_can_be_left_out_where_the_server_is_put_together_and_nowhere_else(
    tmp_path: Path, call: Make, make_rows: Make
) -> None:
    settings = config(tmp_path)
    server = await app.start(settings, make_masks=insecure_no_mask)
    caller = call(server)
    collection = await in_thread(caller.create)
    vectors, batch = make_rows(20)
    await in_thread(caller.enrol, collection.uid, batch)
    scores = await in_thread(caller.search, await in_thread(caller.collection), vectors[4])
    await server.stop()
    assert np.abs(scores - vectors @ vectors[4]).max() < 0.008, "no flood: less noise than any masked reply"
    assert not any("mask" in name for name in vars(settings))


@pytest.mark.parametrize(
    ("most_bytes", "sent_bytes", "answered"),
    [(limits.KIB, 3 * limits.KIB, False), (64 * limits.KIB, 32 * limits.KIB, True)],
    ids=["below what gRPC takes by itself", "above what gRPC takes by itself"],
)
async def test_limit_of_metadata_is_ours_and_not_that_of_grpc(
    tmp_path: Path, call: Make, monkeypatch: pytest.MonkeyPatch, most_bytes: int, sent_bytes: int, answered: bool
) -> None:
    """The transport's options are heard, not merely accepted."""
    monkeypatch.setattr(limits, "MAX_METADATA_BYTES", most_bytes)
    server = await app.start(config(tmp_path))
    caller = call(server)
    info = caller.channel.unary_unary("/unseen.v1.InfoService/GetServerInfo")
    large = (("x-large", "a" * sent_bytes),)
    refusal = await in_thread(caller.refusal_if_any, lambda: info(b"", metadata=large, timeout=30))
    await server.stop()
    assert (refusal is None) == answered, refusal


async def test_many_refused_streams_leave_the_connection_usable(running: app.RunningServer, call: Make) -> None:
    """More than the streams a connection may have, each refused half-way: none may keep its place."""
    caller = call(running)
    for _ in range(4 * limits.MAX_STREAMS_PER_CONNECTION):
        refusal = await in_thread(caller.refusal, caller.raw, "IndexService/EnrolRows", [b"", b"", b""])
        assert refusal.code == "MALFORMED_MESSAGE"
    assert len((await in_thread(caller.info)).store_uid) == 16


def test_largest_message_of_every_kind_fits_the_transport() -> None:
    largest_entry = limits.MAX_RECORD_BYTES + limits.KIB
    assert limits.CATALOGUE_PAGE_BYTES + largest_entry < limits.MAX_MESSAGE_BYTES
    for parameters in params.PUBLISHED:
        batch_of_blocks = 8 * (parameters.ring_degree * (parameters.reply_c1_bits + parameters.reply_c0_bits) // 8)
        assert limits.REPLY_CHUNK_BYTES + batch_of_blocks < limits.MAX_MESSAGE_BYTES
    assert 16 * limits.MAX_ROWS_PER_ERASURE + limits.KIB < limits.MAX_MESSAGE_BYTES
