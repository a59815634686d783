"""The threads that scan: one set for all indexes of a process, so that queries at once share the cores.

Server side. A thread and its scratch memory outlive a query: starting threads and touching fresh pages would cost a
small index as much as the arithmetic. Scratch holds sums of the last query until the next one overwrites them. Each
thread has a part of the cores to itself: woken for a few milliseconds, threads would else share one while another idles
(decision 7).
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

import numpy as np

from unseen.he.kernel import POLYNOMIALS, QUAD
from unseen.he.lanes import LANES
from unseen.he.mask import BATCH_BLOCKS

Result = TypeVar("Result")


class Submit(Protocol):
    """Has a piece of work done by a scanning thread."""

    def __call__(self, work: Callable[[], Result]) -> Future[Result]: ...


class Scratch:
    """Memory for one transform and for the sums of eight blocks."""

    def __init__(self, degree: int) -> None:
        self.lanes = np.zeros((1, degree, LANES), np.uint32)
        self.sums = np.zeros((BATCH_BLOCKS // QUAD, degree // LANES, QUAD, POLYNOMIALS, LANES), np.uint32)


class _Own(threading.local):
    """What a thread keeps from query to query."""

    def __init__(self) -> None:
        self.scratch: dict[int, Scratch] = {}


class ScanThreads:
    """So many threads, started when they are first needed. Safe for several queries at once, which share them."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        parts, started = parts_of(usable_cores(), count), itertools.count()
        # Threads start beside each other: counting is one step of the interpreter, running a generator is not.
        self._executor = ThreadPoolExecutor(count, "unseen-scan", lambda: _keep_to(parts[next(started) % count]))
        self._own = _Own()

    @contextmanager
    def lent(self) -> Iterator[Submit]:
        """Lend them for a block: what it submits has ended when the block has, what nobody began by then is dropped."""
        pending: set[Future[Any]] = set()

        def submit(work: Callable[[], Result]) -> Future[Result]:
            future = self._executor.submit(work)
            pending.add(future)
            future.add_done_callback(pending.discard)
            return future

        try:
            yield submit
        finally:
            left = list(pending)
            for future in left:
                future.cancel()
            wait(left)

    def in_order(
        self, submit: Submit, works: Iterable[Callable[[], Result]], cancelled: Callable[[], bool]
    ) -> Iterator[Result]:
        """Results of work in its order, with at most two pieces a thread under way; ends early when cancelled."""
        waiting: deque[Future[Result]] = deque()
        for work in works:
            if cancelled():
                break
            waiting.append(submit(work))
            if len(waiting) >= 2 * self.count:
                yield waiting.popleft().result()
        while waiting and not cancelled():
            yield waiting.popleft().result()

    def scratch(self, degree: int) -> Scratch:
        """Return the calling thread's own scratch memory for a ring degree."""
        mine = self._own.scratch
        if degree not in mine:
            mine[degree] = Scratch(degree)
        return mine[degree]

    def close(self) -> None:
        """Let the threads end once they are idle."""
        self._executor.shutdown()


def usable_cores() -> list[int]:
    """Return the cores that this process may use, by number; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def parts_of(cores: list[int], count: int) -> list[set[int]]:
    """Deal cores out to so many threads, evenly; where there are fewer cores than threads, threads share them."""
    return [set(cores[number % len(cores) :: count] if cores else ()) for number in range(count)]


def _keep_to(cores: set[int]) -> None:
    """Have the calling thread run on these cores only; where there are none, or a sandbox forbids it, it stays free."""
    if cores:
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
