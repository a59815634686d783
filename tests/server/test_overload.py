"""Too much at once: who is over a limit is told so, and until when; who is gone is not computed for; health answers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.in_process import in_thread, scan
from tests.waiting import until
from unseen.errors import ServerBusy
from unseen.he import packing, quantise
from unseen.he.mask import BATCH_BLOCKS
from unseen.he.scan import ScanIndex
from unseen.he.secret import PreparedQuery
from unseen.params import DEFAULT
from unseen_server import app, limits, readiness
from unseen_server.call import LOCAL
from unseen_server.workers import Workers

Make = Callable[..., Any]


async def all_of(stream: Any) -> None:
    """Read a reply to its end, which may be an error."""
    while await stream.read() is not aio.EOF:
        pass


def waiting_for(release: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        release.wait(30)

    return wait


# Scans


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def begun(workers: Workers, release: threading.Event, searches: int) -> list[asyncio.Future[None]]:
    """The scans of those that are let in, of so many that come at once."""
    found = []
    for _ in range(searches):
        with suppress(ServerBusy):
            found.append(scan(workers, waiting_for(release)))
    return found


async def round_of(workers: Workers, searches: int) -> int:
    """How many of so many that come at once are let in; when this returns all of them are done."""
    release = threading.Event()
    scans = begun(workers, release, searches)
    release.set()
    await asyncio.gather(*scans)
    return len(scans)


async def a_queue_that_stood(workers: Workers, clock: Clock) -> None:
    """Bring it about: ten at once, none of which is done for longer than a burst may last."""
    release = threading.Event()
    burst = begun(workers, release, 10)
    assert len(burst) == 10
    clock.now += limits.STANDING_AFTER_S / 2
    burst += begun(workers, release, 1)
    assert len(burst) == 11, "still a burst"
    clock.now += limits.STANDING_AFTER_S
    with pytest.raises(ServerBusy) as busy:
        workers.require_scan_room()
    assert busy.value.retry_after_s is not None
    assert busy.value.retry_after_s >= limits.RETRY_SCAN_S
    release.set()
    await asyncio.gather(*burst)


async def test_when_a_queue_stood_nobody_waits_as_long_as_more_come_than_can_be_answered() -> None:
    """The places are free every now and then, however many come: that is no reason to let sixty in at once."""
    clock = Clock()
    workers = Workers(lambda: None, clock)
    await a_queue_that_stood(workers, clock)
    for _ in range(50):
        assert await round_of(workers, 10) == limits.SCANS_AT_ONCE
        clock.now += 0.1
    workers.close()


async def test_bursts_may_wait_again_when_few_are_refused() -> None:
    """The same number of rounds, but no more in each than can be answered."""
    clock = Clock()
    workers = Workers(lambda: None, clock)
    await a_queue_that_stood(workers, clock)
    for _ in range(50):
        assert await round_of(workers, limits.SCANS_AT_ONCE) == limits.SCANS_AT_ONCE
        clock.now += 0.01
    assert await round_of(workers, 10) == 10
    workers.close()


async def test_bursts_may_wait_again_after_a_pause() -> None:
    clock = Clock()
    workers = Workers(lambda: None, clock)
    await a_queue_that_stood(workers, clock)
    clock.now += limits.QUIET_AGAIN_S * 1.01
    assert await round_of(workers, 10) == 10
    workers.close()


@pytest.mark.parametrize(("load", "goes_on"), [(0.5, False), (0.9, False), (2.0, True), (5.0, True)])
def test_part_that_is_refused_tells_whether_more_come_than_can_be_answered(load: float, goes_on: bool) -> None:
    """Searches at random moments, scans of random lengths on two places: simulated, without a thread."""
    chance, clock = np.random.default_rng(int(10 * load)), Clock()
    workers = Workers(lambda: None, clock)
    workers._nobody_waits, workers._refused_part = True, 1.0
    ends: list[float] = []
    for _ in range(2000):
        clock.now += float(chance.exponential(1 / load))
        ends = [end for end in ends if end > clock.now]
        workers._scans_admitted = len(ends)
        workers._refused_at = clock.now  # no pause ends it here
        try:
            with workers.scan_place():
                ends.append(clock.now + float(chance.exponential(limits.SCANS_AT_ONCE)))
        except ServerBusy:
            continue
        if not workers._nobody_waits:
            break
    workers._scans_admitted = 0
    workers.close()
    assert workers._nobody_waits == goes_on


async def test_place_is_kept_for_a_query_on_its_way_but_not_for_long() -> None:
    """Else those who come later and are faster would be let in before; and who never comes would hold it for ever."""
    clock = Clock()
    workers = Workers(lambda: None, clock)
    await a_queue_that_stood(workers, clock)
    release = threading.Event()
    busy = begun(workers, release, limits.SCANS_AT_ONCE - 1)
    with workers.scan_place() as coming:
        assert begun(workers, release, 1) == []
        clock.now += limits.COMING_S / 2
        busy.append(coming.scan(waiting_for(release)))
    assert begun(workers, release, 1) == []
    release.set()
    await asyncio.gather(*busy)
    release.clear()
    busy = begun(workers, release, limits.SCANS_AT_ONCE - 1)
    with workers.scan_place() as slow:
        clock.now += 2 * limits.COMING_S
        busy += begun(workers, release, 1)
        assert len(busy) == limits.SCANS_AT_ONCE
        for late in (slow.keep, partial(slow.scan, waiting_for(release))):
            with pytest.raises(ServerBusy):
                late()
    release.set()
    await asyncio.gather(*busy)
    with workers.scan_place():
        pass
    assert workers._coming == {}
    workers.close()


async def test_time_to_wait_grows_with_the_time_that_searches_take() -> None:
    clock = Clock()
    workers = Workers(lambda: None, clock)

    def slow() -> None:
        clock.now += 8.0

    for _ in range(20):
        await scan(workers, slow)
    release = threading.Event()
    waiting = [scan(workers, waiting_for(release)) for _ in range(6)]
    clock.now += 2 * limits.STANDING_AFTER_S
    with pytest.raises(ServerBusy) as busy:
        workers.require_scan_room()
    assert busy.value.retry_after_s == pytest.approx(8.0 * 5 / limits.SCANS_AT_ONCE, rel=0.2)
    release.set()
    await asyncio.gather(*waiting)
    workers.close()


async def test_search_that_finds_no_room_is_refused_at_its_header(
    running: app.RunningServer, call: Make, search_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its query is not waited for: what is refused costs the server nothing."""
    caller = call(running)
    collection = await in_thread(caller.create)

    def no_room() -> None:
        raise ServerBusy("no room", retry_after_s=1.5)

    monkeypatch.setattr(running.workers, "require_scan_room", no_room)
    header = search_of(collection, b"")[0].SerializeToString()
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_stream("/unseen.v1.SearchService/Search")()
        await stream.write(header)  # and never the rest, nor an end
        with pytest.raises(aio.AioRpcError) as refused:
            await asyncio.wait_for(stream.read(), 30)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ("unseen-retry-after-s", "1.5") in list(refused.value.trailing_metadata())


async def test_health_is_answered_while_every_place_is_taken(
    running: app.RunningServer, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every scan thread busy, the queue full, every call's place taken."""
    release = threading.Event()
    scans = [
        scan(running.workers, waiting_for(release)) for _ in range(limits.SCANS_AT_ONCE + limits.MAX_SCANS_WAITING)
    ]
    monkeypatch.setattr(limits, "MAX_CALLS", 0)
    caller = call(running)
    assert (await in_thread(caller.refusal, caller.info)).code == "SERVER_BUSY"
    for service in ("", *readiness.SERVICES):
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await in_thread(health_pb2_grpc.HealthStub(caller.channel).Check, request)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    release.set()
    await asyncio.gather(*scans)


# Work for nobody


@pytest.fixture
def counted_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first segment of every batch that is scanned; a batch takes a fiftieth of a second longer than it would."""
    scanned: list[int] = []
    batch = ScanIndex._batch

    def counted(index: ScanIndex, segments: list[int], *args: Any) -> bytes:
        scanned.append(segments[0])
        time.sleep(0.02)
        return batch(index, segments, *args)

    monkeypatch.setattr(ScanIndex, "_batch", counted)
    return scanned


BLOCKS = 8000


@pytest.fixture
async def large(running: app.RunningServer, call: Make) -> Any:
    """A collection of many blocks; its rows are in memory only, which a scan does not notice."""
    caller = call(running)
    collection = await in_thread(lambda: caller.create("large", dimension=64))
    live: Any = running.engine.by_uid(LOCAL, collection.uid)
    slots = BLOCKS * live.packing.rows_per_block
    live._index.reserve(slots)
    object.__setattr__(live._stored.info, "slots", slots)
    return await in_thread(caller.collection, "large")


def encrypted(collection: Any) -> bytes:
    layout = packing.Packing(DEFAULT.ring_degree, collection.dimension, collection.packing_factor)
    query: bytes = PreparedQuery.prepare(DEFAULT, layout).encrypt(
        quantise.quantise_query(DEFAULT, np.ones(collection.dimension, np.float32))
    )[0]
    return query


async def test_cancelled_search_scans_no_further(
    running: app.RunningServer, large: Any, search_of: Make, counted_batches: list[int]
) -> None:
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_stream("/unseen.v1.SearchService/Search")()
        for part in search_of(large, encrypted(large)):
            await stream.write(part.SerializeToString())
        await stream.done_writing()
        await stream.read()
        await in_thread(until, "a batch is scanned", lambda: counted_batches)
        stream.cancel()
        await in_thread(until, "no scan is left", lambda: not running.workers._scans_admitted)
    assert 0 < len(counted_batches) < BLOCKS // BATCH_BLOCKS // 2, f"of {BLOCKS // BATCH_BLOCKS} batches"


async def test_scan_stops_when_its_callers_deadline_is_over(
    running: app.RunningServer, large: Any, search_of: Make, counted_batches: list[int]
) -> None:
    requests = [part.SerializeToString() for part in search_of(large, encrypted(large))]
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_stream("/unseen.v1.SearchService/Search")(iter(requests), timeout=0.5)
        with pytest.raises(aio.AioRpcError) as late:
            await all_of(stream)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await in_thread(until, "no scan is left", lambda: not running.workers._scans_admitted)
    assert len(counted_batches) < BLOCKS // BATCH_BLOCKS // 2, f"of {BLOCKS // BATCH_BLOCKS} batches"


async def test_search_whose_deadline_passed_in_the_queue_is_never_begun(
    running: app.RunningServer, large: Any, search_of: Make, counted_batches: list[int]
) -> None:
    release = threading.Event()
    busy = [scan(running.workers, waiting_for(release)) for _ in range(limits.SCANS_AT_ONCE)]
    requests = [part.SerializeToString() for part in search_of(large, encrypted(large))]
    async with aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stream = channel.stream_stream("/unseen.v1.SearchService/Search")(iter(requests), timeout=0.5)
        with pytest.raises(aio.AioRpcError):
            await all_of(stream)
        await in_thread(until, "the server gives it up", lambda: not running.metrics.under_way)
        release.set()
        await asyncio.gather(*busy)
        await in_thread(until, "no scan is left", lambda: not running.workers._scans_admitted)
    assert counted_batches == []
