"""The clock never goes back and believes no leap, whatever the system's clock says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.governance.steward import NOON, Hands
from unseen.errors import ClockUncertain, InvalidConfiguration
from unseen.store.interface import Fact, FactStore
from unseen_server.governance.clock import LEAP_S, MOST_DOWNTIME_S, WRITTEN_EVERY_S, Clock, steady_s


class FactList:
    """As much of a store as a clock needs."""

    def __init__(self) -> None:
        self.kept: list[Fact] = []

    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]:
        return tuple(self.kept)

    def append_fact(self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None) -> Fact:
        self.kept.append(Fact(len(self.kept) + 1, kind, key, body))
        return self.kept[-1]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def store() -> FactStore:
    return FactList()


def quarters(least_s: int, most_s: int) -> st.SearchStrategy[float]:
    """Seconds whose sums are exact, in whatever order they are added."""
    return st.integers(4 * least_s, 4 * most_s).map(lambda number: number / 4)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(quarters(-4 * 10**8, 4 * 10**8), quarters(0, 5000)), max_size=30))
def test_time_never_goes_back_and_agrees_with_a_plain_account(moves: list[tuple[float, float]]) -> None:
    hands, store = Hands(), FactList()
    clock = hands.clock(store)
    seen, at = float(NOON), hands.steady_s
    for wall, steady in moves:
        hands.wall_s += wall
        hands.steady_s += steady
        expected = seen + hands.steady_s - at
        if hands.wall_s > expected + LEAP_S:
            with pytest.raises(ClockUncertain):
                clock.now()
            assert clock.now_or_last() == int(seen)
        else:
            seen, at = max(expected, hands.wall_s), hands.steady_s
            assert clock.now() == int(seen)


def test_the_highest_time_is_written_down_once_in_a_while_and_kept(hands: Hands, store: FactStore) -> None:
    clock = hands.clock(store)
    clock.write_down()
    clock.write_down()
    assert len(store.facts("clock")) == 1
    hands.pass_s(WRITTEN_EVERY_S)
    clock.write_down()
    assert len(store.facts("clock")) == 2
    hands.wall_s = NOON - 1_000_000
    again = hands.clock(store)
    assert again.now() == NOON + WRITTEN_EVERY_S


def test_a_start_long_after_is_refused_unless_the_clock_is_accepted(hands: Hands, store: FactStore) -> None:
    hands.clock(store).write_down()
    hands.wall_s += MOST_DOWNTIME_S
    hands.clock(store)
    hands.wall_s += 1
    with pytest.raises(InvalidConfiguration, match=r"2027.*accept-clock"):
        hands.clock(store)
    assert hands.clock(store, accept=True).now() == NOON + MOST_DOWNTIME_S + 1


def test_a_store_that_was_never_governed_starts_whatever_the_clock_says(hands: Hands, store: FactStore) -> None:
    hands.wall_s = 0.0
    assert hands.clock(store).now() == 0


def test_the_steady_clock_of_this_machine_goes_forward(tmp_path: Path, store: FactStore) -> None:
    assert steady_s() <= steady_s()
    assert Clock(store).now() > 1_700_000_000
