"""The tree of row keys: every key but those that were cut, whatever was cut in whatever order."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseen.errors import SealBroken
from unseen.keys import walk
from unseen.keys.tree import DEPTH, SERIALS, KeyTree
from unseen.keys.walk import KeyWalk

RowKey = Callable[[bytes, int], bytes]

ROOT = bytes(range(32))
EDGES = (0, 1, 31, 32, 33, (1 << 24) - 1, 1 << 24, 5 << 40, SERIALS - 2, SERIALS - 1)
serials = st.one_of(st.integers(0, 200), st.integers(0, 200).map(lambda n: (7 << 24) + n), st.integers(0, SERIALS - 1))
sets = st.sets(serials, max_size=60)


def above(serial: int) -> set[int]:
    """The numbers of a leaf and of every node above it."""
    return {SERIALS + serial >> levels for levels in range(DEPTH + 1)}


@pytest.fixture
def tree() -> KeyTree:
    return KeyTree.grown_from(ROOT)


def test_keys_are_those_of_the_plain_descent(tree: KeyTree, row_key: RowKey) -> None:
    assert KeyWalk(tree).keys(EDGES) == [row_key(ROOT, serial) for serial in EDGES]


def test_first_and_last_key_have_not_changed(tree: KeyTree) -> None:
    first, last = KeyWalk(tree).keys([0, SERIALS - 1])
    assert (first or b"").hex() == FIRST
    assert (last or b"").hex() == LAST


@given(st.lists(serials, max_size=80))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_do_not_depend_on_the_order_of_asking(row_key: RowKey, asked: list[int]) -> None:
    assert KeyWalk(KeyTree.grown_from(ROOT)).keys(asked) == [row_key(ROOT, serial) for serial in asked]


@given(sets, sets, st.lists(serials, max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_serials_have_no_key_and_all_others_keep_theirs(
    row_key: RowKey, first: set[int], second: set[int], others: list[int]
) -> None:
    cut = KeyTree.grown_from(ROOT).without(first).without(second)
    doomed = first | second
    asked = [*doomed, *others, *(serial ^ 1 for serial in doomed), *(serial ^ 64 for serial in doomed)]
    expected = [None if serial in doomed else row_key(ROOT, serial) for serial in asked]
    assert KeyWalk(cut).keys(asked) == expected
    assert [cut.holds(serial) for serial in asked] == [key is not None for key in expected]
    kept = set(cut.numbers)
    assert all(kept.isdisjoint(above(serial)) for serial in doomed), "a node above a cut serial is still there"
    assert cut == KeyTree.grown_from(ROOT).without(doomed), "the order of cuts left a trace"


@given(sets)
@settings(deadline=None)
def test_a_cover_is_as_small_as_a_cover_can_be(doomed: set[int]) -> None:
    """No node's sibling is there too: the two would be their parent. At most a path of siblings per cut."""
    cut = KeyTree.grown_from(ROOT).without(doomed)
    numbers = set(cut.numbers)
    assert all(number ^ 1 not in numbers for number in numbers if number > 1)
    assert len(numbers) <= max(1, DEPTH * len(doomed))
    assert KeyTree.from_nodes(cut.numbers, cut.keys) == cut


def test_cutting_everything_there_is_leaves_what_was_never_given_out(tree: KeyTree) -> None:
    first, rows = 9 << 24, 1000
    cut = tree.without(range(first, first + rows))
    assert KeyWalk(cut).keys(range(first, first + rows)) == [None] * rows
    assert len(cut.numbers) < 2 * DEPTH, "what was erased together is one hole"
    assert cut.holds(first + rows)
    assert cut.holds(first - 1)


def test_cutting_again_changes_nothing(tree: KeyTree) -> None:
    cut = tree.without([5, 6, 77])
    assert cut.without([6]) == cut.without([5, 77, 6]) == cut.without([]) == cut


def test_more_groups_than_are_remembered_give_the_same_keys(
    tree: KeyTree, row_key: RowKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST_GROUPS", 3)
    draw = random.Random(3)
    asked = [draw.choice((0, 3 << 24, 1 << 59)) + draw.randrange(2000) for _ in range(300)]
    cut = tree.without(asked[:40])
    expected = [None if serial in asked[:40] else row_key(ROOT, serial) for serial in asked]
    walking = KeyWalk(cut)
    assert [walking.keys([serial])[0] for serial in asked] == expected
    assert KeyWalk(cut).keys(asked) == expected


@pytest.mark.parametrize(
    "numbers",
    [
        [0],
        [1, 2],  # a node and its child
        [3, 2],  # out of order
        [2, 2],
        [2 * SERIALS],  # below the leaves
        [1 << 63],
    ],
)
def test_nodes_that_are_no_cover_are_refused(numbers: list[int]) -> None:
    with pytest.raises(SealBroken, match="no cover"):
        KeyTree.from_nodes(array("Q", numbers), bytes(32 * len(numbers)))


def test_another_number_of_keys_than_of_nodes_is_refused() -> None:
    with pytest.raises(SealBroken, match="another number"):
        KeyTree.from_nodes(array("Q", [2, 3]), bytes(32))


FIRST = "2f8e202874ef5dd7505eedc836a7c41ae46294bb5b0d86045a6f8ed592fb1576"
LAST = "dcb42e115b91b6f363784e0b06fc883ebeadce792dd685f746994c0e8cac60a3"
