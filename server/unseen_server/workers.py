"""Where the work that must not block the event loop is done: threads for scans, threads for changes, bytes held.

Scans and changes have threads of their own, so that a queue of scans never keeps a mutation or a listing waiting.

A burst of scans may wait in a queue. A queue that stands is another thing: it makes every search slower and answers not
one more (the idea of CoDel, RFC 8289: judge a queue by how long it stands, not by its length). So when it did not empty
for a while, nobody waits: who finds every place taken is told at once, and after which time to come again. That ends
when so few have to be refused that no more come than can be answered.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from unseen.errors import ServerBusy, StoreFailed
from unseen_server import limits

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

CHANGE_THREADS = 4
"""The store takes one at a time; the others parse, check and wait."""


class Workers:
    """Used by one event loop."""

    def __init__(self, on_store_failure: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """``on_store_failure`` is called in the loop when a piece of work met a failed store, caller or no caller."""
        self._clock = clock
        self._on_store_failure = on_store_failure
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._changes = ThreadPoolExecutor(CHANGE_THREADS, "unseen-change")
        self._scans = ThreadPoolExecutor(limits.SCANS_AT_ONCE, "unseen-answer")
        self._scans_admitted = 0
        self._coming: dict[ScanPlace, float] = {}
        self._scan_s = 0.0
        self._queue_empty_at = self._clock()
        self._nobody_waits = False
        self._refused_part = 0.0
        self._refused_at = self._queue_empty_at
        self._bytes_held = 0

    async def change(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Run a short piece of work; it goes on to its end even when the caller is gone."""
        return await asyncio.wrap_future(self._submit(lambda: work(*args, **kwargs)))

    async def change_in_turn(
        self,
        turns: tuple[bytes, ...],
        work: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """As ``change``, after everything else with one of these turns; who waits for a turn takes no thread.

        Turns are names, such as a collection's uid; every caller that takes several takes them in the same order.
        """
        loop = asyncio.get_running_loop()
        with ExitStack() as held:
            for turn in turns:
                lock = self._turns.setdefault(turn, asyncio.Lock())
                await lock.acquire()
                held.callback(lock.release)
            done = self._submit(lambda: work(*args, **kwargs))
            # The turn ends with the work: a caller that leaves does not let the next one in earlier.
            give_back = held.pop_all().close
            done.add_done_callback(lambda _: loop.call_soon_threadsafe(give_back))
        return await asyncio.wrap_future(done)

    def _submit(self, work: Callable[[], Result]) -> concurrent.futures.Future[Result]:
        loop = asyncio.get_running_loop()
        done = self._changes.submit(work)
        # On this future and not on the caller's: that one forgets everything when the caller leaves.
        done.add_done_callback(lambda ended: self._watch(ended, loop))
        return done

    def _watch(self, ended: concurrent.futures.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        if not ended.cancelled() and isinstance(ended.exception(), StoreFailed):
            loop.call_soon_threadsafe(self._on_store_failure)

    def require_scan_room(self) -> None:
        """ServerBusy when a search that begins now would not be let in."""
        ahead = self._scans_admitted - limits.SCANS_AT_ONCE + self._coming_soon()
        if ahead < (0 if self._waiting_is_over(ahead) else limits.MAX_SCANS_WAITING):
            return
        self._refused_part += (1 - self._refused_part) / limits.REFUSALS_LOOKED_AT
        self._refused_at = self._clock()
        wait_s = max(limits.RETRY_SCAN_S, self._scan_s * (ahead + 1) / limits.SCANS_AT_ONCE)
        raise ServerBusy(
            f"{limits.SCANS_AT_ONCE + ahead} searches are under way; try again in {wait_s:.1f} s",
            retry_after_s=round(wait_s, 1),
        )

    def _waiting_is_over(self, ahead: int) -> bool:
        """Whether the queue stood, and still more come than can be answered."""
        now = self._clock()
        if self._nobody_waits:
            is_quiet = now - self._refused_at > limits.QUIET_AGAIN_S
            self._nobody_waits = self._refused_part >= limits.REFUSED_PART_AT_CAPACITY and not is_quiet
        elif ahead > 0 and now - self._queue_empty_at > limits.STANDING_AFTER_S:
            self._nobody_waits, self._refused_part, self._refused_at = True, 1.0, now
        return self._nobody_waits

    @contextmanager
    def scan_place(self) -> Iterator[ScanPlace]:
        """A place in the queue for a search whose query is still on its way; ServerBusy when there is none.

        It is kept for COMING_S: who sends more slowly than that takes what place there is when the query is whole.
        """
        self.require_scan_room()
        self._refused_part -= self._refused_part / limits.REFUSALS_LOOKED_AT
        place = ScanPlace(self)
        self._coming[place] = self._clock()
        self._note_queue()
        try:
            yield place
        finally:
            self._coming.pop(place, None)

    def _coming_soon(self) -> int:
        """Searches that hold a place and do not scan yet."""
        late_at = self._clock() - limits.COMING_S
        while self._coming and (oldest := next(iter(self._coming.items())))[1] < late_at:
            del self._coming[oldest[0]]
        return len(self._coming)

    def keep_place(self, place: ScanPlace) -> None:
        """Hold it anew; ServerBusy when it was given up and there is no other."""
        if self._coming.pop(place, None) is None:
            self.require_scan_room()
        self._coming[place] = self._clock()

    def begin_scan(self, place: ScanPlace, work: Callable[[], None]) -> asyncio.Future[None]:
        """Start a scan as soon as a thread is free; ServerBusy when its place was given up and there is no other."""
        self.keep_place(place)
        del self._coming[place]
        self._scans_admitted += 1
        self._note_queue()
        done = asyncio.get_running_loop().run_in_executor(self._scans, self._timed, work)
        done.add_done_callback(self._scan_done)
        return done

    def _timed(self, work: Callable[[], None]) -> None:
        began = self._clock()
        try:
            work()
        finally:
            # Of two threads that write at once one is lost: for an estimate that is good enough.
            self._scan_s += (self._clock() - began - self._scan_s) / 8

    def _scan_done(self, _: asyncio.Future[None]) -> None:
        self._note_queue()
        self._scans_admitted -= 1
        self._note_queue()

    def _note_queue(self) -> None:
        if self._scans_admitted + len(self._coming) <= limits.SCANS_AT_ONCE:
            self._queue_empty_at = self._clock()

    @contextmanager
    def holding(self, size_bytes: int) -> Iterator[None]:
        """Count bytes that a call holds in memory; ServerBusy when all calls together hold too many."""
        if self._bytes_held and self._bytes_held + size_bytes > limits.MAX_BYTES_UNDER_WAY:
            raise ServerBusy(
                "the messages under way fill the memory set aside for them; wait a little, then try again",
                retry_after_s=limits.RETRY_CALL_S,
            )
        self._bytes_held += size_bytes
        try:
            yield
        finally:
            self._bytes_held -= size_bytes

    @property
    def bytes_held(self) -> int:
        """Bytes that calls hold now."""
        return self._bytes_held

    def close(self) -> None:
        """Wait for what is under way, start nothing more."""
        self._scans.shutdown(wait=True, cancel_futures=True)
        self._changes.shutdown(wait=True, cancel_futures=True)


class ScanPlace:
    """A search's place among those that are scanned or wait for it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def keep(self) -> None:
        """Hold it for a while longer; ServerBusy when it was given up meanwhile and there is no other."""
        self._workers.keep_place(self)

    def scan(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """Start a scan as soon as a thread is free; ServerBusy when the place was given up meanwhile."""
        return self._workers.begin_scan(self, work)
