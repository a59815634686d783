"""Threads that queries share: nothing goes on behind a query's back, and no thread writes into another's memory."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from unseen.he.scan_threads import ScanThreads, parts_of, usable_cores


@pytest.fixture
def threads() -> Iterator[ScanThreads]:
    two = ScanThreads(2)
    yield two
    two.close()


def test_what_was_submitted_has_ended_when_the_block_has(threads: ScanThreads) -> None:
    begun: list[int] = []
    ended: list[int] = []
    dropped: list[object] = []
    both_begun, all_dropped = threading.Barrier(3), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        both_begun.wait(30)
        all_dropped.wait(30)
        ended.append(number)

    def drop(one: object) -> None:
        dropped.append(one)
        if len(dropped) == 8:
            all_dropped.set()

    with threads.lent() as submit:
        done = [submit(partial(work, number)) for number in range(10)]
        for one in done[2:]:
            one.add_done_callback(drop)
        both_begun.wait(30)
    assert sorted(begun) == sorted(ended) == [0, 1]
    assert [one.cancelled() for one in done] == [False] * 2 + [True] * 8


def test_a_block_that_fails_leaves_nothing_running(threads: ScanThreads) -> None:
    running = threading.Event()
    ended = threading.Event()

    def work() -> None:
        running.set()
        time.sleep(0.05)
        ended.set()

    def fail() -> None:
        with threads.lent() as submit:
            submit(work)
            running.wait()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert ended.is_set()


def test_two_queries_at_once_use_the_same_threads(threads: ScanThreads) -> None:
    names: set[str] = set()
    numbers, both = itertools.count(), threading.Barrier(2)

    def work() -> None:
        names.add(threading.current_thread().name)
        if next(numbers) < 2:
            both.wait(60)

    def query() -> None:
        with threads.lent() as submit:
            for done in [submit(work) for _ in range(10)]:
                done.result()

    callers = [threading.Thread(target=query) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(names) == 2


def test_a_thread_keeps_its_scratch_and_shares_it_with_none(threads: ScanThreads) -> None:
    both = threading.Barrier(2)

    def work() -> tuple[int, int]:
        both.wait()
        return threading.get_ident(), threads.scratch(2048).sums.ctypes.data

    seen = []
    for _ in range(2):
        with threads.lent() as submit:
            seen.append(sorted(done.result() for done in [submit(work), submit(work)]))
    assert seen[0] == seen[1]
    (_, one), (_, other) = seen[0]
    assert one != other


@pytest.mark.parametrize(
    ("cores", "count", "parts"),
    [
        ([0, 1], 2, [{0}, {1}]),
        ([0, 2, 3, 7, 8], 2, [{0, 3, 8}, {2, 7}]),
        ([4, 5], 3, [{4}, {5}, {4}]),
        ([4], 2, [{4}, {4}]),
        ([], 2, [set(), set()]),
    ],
)
def test_cores_are_dealt_out_evenly(cores: list[int], count: int, parts: list[set[int]]) -> None:
    assert parts_of(cores, count) == parts


def test_no_two_threads_wait_for_one_core_while_another_idles(threads: ScanThreads) -> None:
    both = threading.Barrier(2)

    def cores() -> frozenset[int]:
        both.wait()
        return frozenset(os.sched_getaffinity(0))

    with threads.lent() as submit:
        one, other = (done.result() for done in [submit(cores), submit(cores)])
    assert one | other == set(usable_cores())
    assert len(usable_cores()) == 1 or not one & other


def test_where_a_sandbox_forbids_it_threads_work_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(thread: int, cores: set[int]) -> None:
        raise PermissionError(thread, cores)

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    one = ScanThreads()
    with one.lent() as submit:
        assert submit(lambda: 7).result() == 7
    one.close()


def test_threads_that_start_at_the_same_moment_all_start() -> None:
    """A pool whose thread fails to start is broken for good: every later search would fail."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            many = ScanThreads(4)
            with many.lent() as submit:
                done = [submit(lambda: 7) for _ in range(8)]
                assert [one.result() for one in done] == [7] * 8
            many.close()
    finally:
        sys.setswitchinterval(before)


def test_results_come_in_the_order_of_the_work_and_little_is_begun_before_it_is_wanted(threads: ScanThreads) -> None:
    handed_out: list[int] = []

    def works() -> Iterator[Callable[[], int]]:
        for number in range(20):
            handed_out.append(number)
            yield partial(int, number)

    with threads.lent() as submit:
        results = threads.in_order(submit, works(), lambda: False)
        assert next(results) == 0
        assert handed_out == [0, 1, 2, 3]
        assert list(results) == list(range(1, 20))


def test_what_is_cancelled_brings_no_more_results(threads: ScanThreads) -> None:
    enough = threading.Event()
    with threads.lent() as submit:
        results = threads.in_order(submit, [partial(int, number) for number in range(20)], enough.is_set)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        enough.set()
        assert list(results) == []
