"""Where rows stand: every slot in one block, in order, side blocks first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import InvalidInput
from unseen.he.owner.layout import MOST_BLOCK_BYTES, SIDE_BLOCKS, Layout, choose
from unseen.params import OWNER_DEFAULT as OWNER

dimensions = st.integers(8, OWNER.ring_degree)


def layout(dimension: int) -> Layout:
    return Layout.of(OWNER, dimension, choose(OWNER, dimension))


@given(dimensions, st.integers(0, 1 << 20))
def test_a_slot_is_in_the_block_whose_slots_hold_it(dimension: int, slot: int) -> None:
    one = layout(dimension)
    block = one.block_of(slot)
    assert slot in one.slots_of(block)
    assert len(one.slots_of(block)) == one.packing(block).rows_per_block


@given(dimensions)
def test_blocks_follow_each_other_without_gaps_and_side_blocks_hold_whole_rows(dimension: int) -> None:
    one = layout(dimension)
    slots = [slot for block in range(SIDE_BLOCKS + 2) for slot in one.slots_of(block)]
    assert slots == list(range(len(slots)))
    assert one.side.chunks == 1
    assert one.slots_of(SIDE_BLOCKS).start == one.side_slots


@given(dimensions)
def test_every_block_fits_a_message(dimension: int) -> None:
    one = layout(dimension)
    assert one.block_bytes(0) <= MOST_BLOCK_BYTES
    assert one.block_bytes(SIDE_BLOCKS) <= MOST_BLOCK_BYTES


def test_sizes_at_dimension_512() -> None:
    one = layout(512)
    assert (one.whole.factor, one.side.rows_per_block, one.side_slots) == (8, 4, 128)
    assert (one.block_bytes(0), one.block_bytes(SIDE_BLOCKS), one.query_bytes) == (8224, 524320, 524320)
    assert (one.reply_bytes(1, 0), one.reply_bytes(0, 40)) == (9990, 414720)


@pytest.mark.parametrize("dimension", [7, 2049, 4096])
def test_vectors_that_no_polynomial_holds_whole_are_refused(dimension: int) -> None:
    with pytest.raises(InvalidInput):
        choose(OWNER, dimension)
    with pytest.raises(InvalidInput):
        Layout.of(OWNER, dimension, 8)
