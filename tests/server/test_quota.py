"""Quotas: what was used is counted, full means refused with the right time to wait, and a crash forgets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import QuotaExceeded, StoreFailed
from unseen.store.interface import Store
from unseen.store.sqlite import SqliteStore
from unseen_server import limits
from unseen_server.call import LOCAL, Allowance, Caller, Role
from unseen_server.quota import DAY_S, RELEASED, Bucket, Quotas
from unseen_server.workers import Workers

Make = Callable[..., Any]
ALICE = Caller("ward", "alice", frozenset({Role.READER}))
BOB = Caller("ward", "bob", frozenset({Role.READER}))
EVERYBODY = Allowance(calls_at_once=2, bytes_per_minute=600, searches_per_minute=3, bits_per_row_per_day=240)
COLLECTION = bytes(16)


@dataclass
class Clock:
    """Time as a test tells it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make_quotas(store: SqliteStore, clock: Clock) -> AsyncIterator[Make]:
    """Quotas over the store, as often as a test likes: each one is a server that was started anew."""
    workers = Workers(lambda: None)

    def make(everybody: Allowance = EVERYBODY, over: Store | None = None) -> Quotas:
        quotas = Quotas(workers, everybody, clock, clock)
        quotas.keep_in(over or store)
        return quotas

    yield make
    workers.close()


# Buckets


def test_bucket_empties_evenly_and_says_when_there_is_room() -> None:
    bucket = Bucket(at=0.0)
    assert bucket.wait_s(60, 60, 60.0) == 0
    bucket.level = 60
    assert bucket.wait_s(10, 60, 60.0) == 10
    bucket.sink(60, 60.0, 10.0)
    assert (bucket.level, bucket.wait_s(10, 60, 60.0)) == (50, 0)
    bucket.sink(60, 60.0, 1000.0)
    assert bucket.level == 0
    assert bucket.wait_s(61, 60, 60.0) is None, "never"


def test_clock_that_went_back_empties_no_bucket() -> None:
    bucket = Bucket(50, 1000.0)
    bucket.sink(60, 60.0, -1e9)
    assert bucket.level == 50
    bucket.sink(60, 60.0, -1e9 + 10)
    assert bucket.level == 40, "and it goes on from there"


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 30)), max_size=60))
def test_bucket_agrees_with_a_count_of_every_moment(asked: list[tuple[float, int]]) -> None:
    """The twin keeps every amount that was let in and integrates its outflow from one event to the next."""
    allowance, window_s, now = 60, 60.0, 0.0
    bucket, inside, last = Bucket(at=0.0), 0.0, 0.0
    let_in: list[tuple[float, int]] = []
    for pause_s, amount in asked:
        now += pause_s
        inside = max(0.0, inside - (now - last) * allowance / window_s)
        last = now
        bucket.sink(allowance, window_s, now)
        fits = bucket.wait_s(amount, allowance, window_s) == 0
        if abs(inside + amount - allowance) > 1e-6:
            assert fits == (inside + amount <= allowance)
        if fits:
            bucket.level += amount
            inside += amount
            let_in.append((now, amount))
    for start, _ in let_in:
        within = sum(amount for at, amount in let_in if start <= at < start + window_s)
        assert within <= 2 * allowance + 1e-6, "in any one window at most twice the allowance"
    assert sum(amount for _, amount in let_in) <= allowance + now * allowance / window_s + 1e-6


# Calls, bytes, searches


async def test_calls_bytes_and_searches_are_each_callers_own(make_quotas: Make, clock: Clock) -> None:
    quotas = make_quotas()
    with quotas.under_way(ALICE), quotas.under_way(ALICE):
        with pytest.raises(QuotaExceeded) as full, quotas.under_way(ALICE):
            pass
        assert full.value.retry_after_s == limits.RETRY_CALL_S
        with quotas.under_way(BOB), quotas.under_way(LOCAL), quotas.under_way(LOCAL), quotas.under_way(LOCAL):
            pass
    with quotas.under_way(ALICE):
        pass
    for _ in range(3):
        quotas.take_search(ALICE)
    with pytest.raises(QuotaExceeded) as full:
        quotas.take_search(ALICE)
    assert full.value.retry_after_s == 20.0, "three a minute: one in 20 seconds"
    quotas.take_search(BOB)
    quotas.take_bytes(ALICE, 600)
    with pytest.raises(QuotaExceeded) as full:
        quotas.take_bytes(ALICE, 60)
    assert full.value.retry_after_s == 6.0
    clock.now += 20.0
    quotas.take_search(ALICE)
    quotas.take_bytes(ALICE, 200)
    with pytest.raises(QuotaExceeded, match="at all") as full:
        quotas.take_bytes(ALICE, 601)
    assert full.value.retry_after_s is None, "no waiting will make it fit"


async def test_this_machine_is_not_held_back(make_quotas: Make) -> None:
    quotas = make_quotas()
    for _ in range(10):
        quotas.take_search(LOCAL)
        quotas.take_bytes(LOCAL, 10_000)
        await quotas.release(LOCAL, COLLECTION, 1000.0)
    assert quotas.allowance_of(LOCAL) == Allowance()
    assert await quotas.bits_left(LOCAL, COLLECTION) is None


async def test_tokens_own_numbers_go_before_the_servers(make_quotas: Make) -> None:
    own = Caller("ward", "alice", frozenset({Role.READER}), None, Allowance(searches_per_minute=1))
    assert make_quotas().allowance_of(own) == Allowance(2, 600, 1, 240)


async def test_callers_who_were_quiet_are_forgotten(
    make_quotas: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_BUCKETS", 10)
    quotas = make_quotas()
    for number in range(50):
        quotas.take_search(Caller("ward", f"caller-{number}", frozenset()))
        clock.now += 10.0
    assert len(quotas._searches) <= 12
    clock.now += 2 * DAY_S
    for number in range(30):
        await quotas.release(Caller("ward", f"caller-{number}", frozenset()), COLLECTION, 1.0)
        clock.now += DAY_S / 4
    assert len(quotas._released) <= 16


# Bits about rows


async def test_bits_are_counted_for_each_caller_and_collection(make_quotas: Make, clock: Clock) -> None:
    quotas = make_quotas()
    other = random_uid()
    for _ in range(24):
        await quotas.release(ALICE, COLLECTION, 10.0)
    for ask in (quotas.release, quotas.require_bits):
        with pytest.raises(QuotaExceeded) as full:
            await ask(ALICE, COLLECTION, 10.0)
        assert full.value.retry_after_s == DAY_S / 24, "240 bits a day: ten of them in an hour"
    assert await quotas.bits_left(ALICE, COLLECTION) == 0
    await quotas.release(BOB, COLLECTION, 10.0)
    await quotas.release(ALICE, other, 10.0)
    clock.now += DAY_S / 24
    await quotas.release(ALICE, COLLECTION, 10.0)
    clock.now += DAY_S
    assert await quotas.bits_left(ALICE, COLLECTION) == 240


async def test_asking_whether_there_is_room_takes_none(make_quotas: Make, store: SqliteStore) -> None:
    quotas = make_quotas()
    for _ in range(100):
        await quotas.require_bits(ALICE, COLLECTION, 240.0)
    assert await quotas.bits_left(ALICE, COLLECTION) == 240
    assert store.facts(RELEASED) == ()


async def test_disk_is_written_once_for_an_eighth_of_an_allowance(make_quotas: Make, store: SqliteStore) -> None:
    quotas = make_quotas()
    for _ in range(240):
        await quotas.release(ALICE, COLLECTION, 1.0)
    assert len(store.facts(RELEASED)) == 8


async def test_server_that_ended_well_gives_back_what_was_not_used(make_quotas: Make) -> None:
    quotas = make_quotas()
    await quotas.release(ALICE, COLLECTION, 10.0)
    assert await make_quotas().bits_left(ALICE, COLLECTION) == 240 - 10 - 30, "killed: the reserve counts as used"
    await quotas.settle()
    assert await make_quotas().bits_left(ALICE, COLLECTION) == 230


async def test_bits_that_cannot_be_written_down_are_not_released(make_quotas: Make) -> None:
    class Broken(SqliteStore):
        def append_fact(self, *args: Any, **kwargs: Any) -> Any:
            raise StoreFailed("no room")

    store = Broken.__new__(Broken)
    store.facts = lambda *args, **kwargs: ()  # type: ignore[method-assign]
    quotas = make_quotas(over=store)
    with pytest.raises(StoreFailed):
        await quotas.release(ALICE, COLLECTION, 10.0)


async def test_searches_side_by_side_share_one_account(make_quotas: Make) -> None:
    quotas = make_quotas()
    ended = await asyncio.gather(*(quotas.release(ALICE, COLLECTION, 10.0) for _ in range(50)), return_exceptions=True)
    assert sum(one is None for one in ended) == 24
    assert all(one is None or isinstance(one, QuotaExceeded) for one in ended)
    assert await make_quotas().bits_left(ALICE, COLLECTION) == 0


steps = st.lists(
    st.tuples(st.sampled_from(["release", "kill", "stop", "wait", "clock back"]), st.integers(1, 60)), max_size=40
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_no_kill_and_no_clock_makes_a_server_forget_what_it_released(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int]]
) -> None:
    """The twin is one account that is never killed: a server started anew never believes that less was released."""
    store = SqliteStore(folder := tmp_path_factory.mktemp("quota"), rings_beside(folder))
    clock, truth = Clock(), Bucket(at=Clock().now)

    async def run() -> None:
        workers = Workers(lambda: None)

        def start() -> Quotas:
            quotas = Quotas(workers, EVERYBODY, clock, clock)
            quotas.keep_in(store)
            return quotas

        quotas = start()
        for step, amount in history:
            if step == "release":
                truth.sink(240, DAY_S, clock.now)
                try:
                    await quotas.release(ALICE, COLLECTION, float(amount))
                except QuotaExceeded:
                    pass
                else:
                    truth.level += amount
            elif step == "wait":
                clock.now += amount * 600.0
            elif step == "clock back":
                truth.sink(240, DAY_S, clock.now)
                clock.now -= amount * 600.0
                truth.at = clock.now
                await quotas.bits_left(ALICE, COLLECTION)
            else:
                if step == "stop":
                    await quotas.settle()
                quotas = start()
            left = await start().bits_left(ALICE, COLLECTION)
            truth.sink(240, DAY_S, clock.now)
            assert left is not None
            assert left <= 240 - truth.level + 1e-6
        workers.close()

    asyncio.run(run())
    store.close()
