"""Serials are never given twice, whatever is undone, and two copies of a store do not meet."""

from __future__ import annotations

import contextlib

import pytest

from unseen.keys import serials
from unseen.keys.serials import RUN_BITS, Serials
from unseen.keys.tree import SERIALS


def claimer(taken: set[int]):
    def claim(first: int) -> bool:
        is_free = first not in taken
        taken.add(first)
        return is_free

    return claim


def test_serials_of_one_run_follow_each_other() -> None:
    ours = Serials()
    with ours.change():
        first = ours.take(3, claimer(set()))
    with ours.change():
        second = ours.take(2, claimer(set()))
    assert first + second == list(range(first[0], first[0] + 5))
    assert first[0] % (1 << RUN_BITS) == 0
    assert 0 <= first[0] < SERIALS


def test_every_opening_starts_at_another_place() -> None:
    firsts = {Serials().take(1, claimer(set()))[0] for _ in range(50)}
    assert len(firsts) == 50
    assert max(firsts) > SERIALS // 2 > min(firsts), "the places are spread over all there are"


def test_run_that_was_had_before_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([bytes(8), bytes(8), b"\xff" * 8])
    monkeypatch.setattr(serials, "random_bytes", lambda _: next(draws))
    taken: set[int] = set()
    assert Serials().take(1, claimer(taken)) == [0]
    assert Serials().take(1, claimer(taken)) == [SERIALS - (1 << RUN_BITS)]


def test_full_run_is_followed_by_another() -> None:
    ours, taken = Serials(), set[int]()
    with ours.change():
        first = ours.take(1, claimer(taken))[0]
    ours._next = first + (1 << RUN_BITS) - 2
    with ours.change():
        four = ours.take(4, claimer(taken))
    assert four[:2] == [first + (1 << RUN_BITS) - 2, first + (1 << RUN_BITS) - 1]
    assert four[2] in taken
    assert len(set(four)) == 4


def test_undone_change_takes_its_run_with_it_but_not_an_older_one() -> None:
    ours, taken = Serials(), set[int]()

    def undone() -> int:
        with contextlib.suppress(InterruptedError), ours.change():
            serials_lost = ours.take(1, claimer(taken))
            raise InterruptedError("the transaction is rolled back")
        return serials_lost[0]

    lost = undone()
    with ours.change():
        kept = ours.take(1, claimer(taken))[0]
    assert kept >> RUN_BITS != lost >> RUN_BITS, "the note of the run is gone from the data, so the run is too"
    undone()
    with ours.change():
        assert ours.take(1, claimer(taken)) == [kept + 2], "a serial that was given out is not given again"
