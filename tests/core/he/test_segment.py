"""Promises of ``unseen.he.segment``: rows come back exactly, and neighbours in a segment do not touch each other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.packing import Packing, factors
from unseen.he.ring import ring
from unseen.he.segment import Segment
from unseen.params import DEFAULT

RING = ring(2048, DEFAULT.modulus)


@settings(deadline=None, max_examples=15)
@given(st.integers(8, 600), st.data())
def test_blocks_are_read_as_written_and_stay_apart(dimension: int, data: st.DataObject) -> None:
    packing = Packing(2048, dimension, data.draw(st.sampled_from(factors(2048, dimension))))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (4, packing.rows_per_block, dimension)
    blocks = random.integers(-32768, 32768, shape).astype(np.int16)
    segment = Segment(RING, packing)
    for block in (2, 0, 3, 1):
        segment.write(block, blocks[block])
    for block in range(4):
        assert (segment.read(block) == blocks[block]).all()


def test_new_segment_holds_zeros_and_a_row_takes_four_bytes_a_coordinate() -> None:
    packing = Packing(2048, 512, 4)
    segment = Segment(RING, packing)
    assert not segment.read(3).any()
    assert segment.size_bytes == 4 * 512 * packing.rows_per_block * 4


def test_overwritten_rows_leave_no_trace() -> None:
    packing = Packing(2048, 64, 8)
    rows = np.random.default_rng(1).integers(-255, 256, (packing.rows_per_block, 64)).astype(np.int16)
    written, fresh = Segment(RING, packing), Segment(RING, packing)
    written.write(1, rows)
    written.write(1, np.zeros_like(rows))
    assert written._residues.tobytes() == fresh._residues.tobytes()
