"""Masks are kept for the largest reply of each packing, and for none that is gone."""

from __future__ import annotations

import pytest

from unseen import params
from unseen.he.mask import MaskSource
from unseen.he.packing import Packing
from unseen_server import limits
from unseen_server.masks_ahead import MasksAhead

PARAMETERS = params.DEFAULT
FOUR, EIGHT = (Packing(PARAMETERS.ring_degree, 64, factor) for factor in (4, 8))


class Counted(MaskSource):
    """A source that only notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__(PARAMETERS)
        self.kept: dict[int, int] = {}

    def keep_ready(self, packing: Packing, batches: int) -> None:
        self.kept[packing.factor] = batches


@pytest.fixture
def source() -> Counted:
    return Counted()


def test_largest_reply_of_a_packing_decides(source: Counted) -> None:
    ahead = MasksAhead(source)
    ahead.want(b"large", FOUR, 100_000)
    ahead.want(b"small", FOUR, 10)
    ahead.want(b"other", EIGHT, 10_000)
    assert source.kept == {4: 25, 8: 5}


def test_empty_collection_has_masks_for_its_first_rows(source: Counted) -> None:
    MasksAhead(source).want(b"empty", FOUR, 0)
    assert source.kept == {4: 1}


def test_repacked_or_deleted_collection_leaves_nothing_wanted(source: Counted) -> None:
    ahead = MasksAhead(source)
    ahead.want(b"one", EIGHT, 1000)
    ahead.want(b"one", FOUR, 5000)
    assert source.kept == {8: 0, 4: 2}
    ahead.want(b"two", FOUR, 100)
    ahead.forget(b"one")
    ahead.forget(b"unknown")
    assert source.kept == {8: 0, 4: 1}
    ahead.forget(b"two")
    assert source.kept == {8: 0, 4: 0}


def test_masks_made_ahead_are_limited(source: Counted) -> None:
    MasksAhead(source).want(b"huge", FOUR, limits.MAX_SLOTS)
    assert source.kept == {4: limits.MAX_MASK_BATCHES_READY}
