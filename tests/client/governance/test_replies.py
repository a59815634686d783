"""A reply that holds some extents only: every score lands at its slot, and headers that cannot be are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import MalformedMessage
from unseen.he.message import reply_block_bytes
from unseen.he.packing import Packing
from unseen.params import DEFAULT
from unseen.types import SLOTS_PER_EXTENT
from unseen.v1 import search_pb2
from unseen_client.flows.reply import Reply


class Numbers:
    """In the place of a key: block after block "decrypts" to the numbers of the slots that a test says it holds."""

    def __init__(self, slots: npt.NDArray[np.int64], packing: Packing) -> None:
        self._block_bytes = reply_block_bytes(DEFAULT, packing)
        self._slots = list(slots.reshape(-1, packing.rows_per_block))

    def decrypt(self, blocks: bytes) -> npt.NDArray[np.int64]:
        count = len(blocks) // self._block_bytes
        taken, self._slots = self._slots[:count], self._slots[count:]
        return np.concatenate(taken)


VECTORS = Path(__file__).parents[2] / "vectors"
PACKING = Packing(DEFAULT.ring_degree, 16, 8)


def header(**fields: Any) -> search_pb2.SearchResponse:
    return search_pb2.SearchResponse(header=search_pb2.SearchReplyHeader(**fields))


def runs_of(extents: list[int]) -> list[search_pb2.ExtentRun]:
    return [search_pb2.ExtentRun(first=extent, count=1) for extent in extents]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5 * SLOTS_PER_EXTENT), st.data())
def test_every_score_lands_at_its_slot_and_no_other_slot_has_one(slots: int, data: st.DataObject) -> None:
    extents = sorted(data.draw(st.sets(st.integers(0, (slots - 1) // SLOTS_PER_EXTENT))))
    runs: list[search_pb2.ExtentRun] = []
    for extent in extents:
        if runs and extent == runs[-1].first + runs[-1].count:
            runs[-1].count += 1
        else:
            runs.append(search_pb2.ExtentRun(first=extent, count=1))
    held = np.concatenate([np.zeros(0, np.int64), *(block_slots(extent, slots) for extent in extents)])
    blocks = len(held) // PACKING.rows_per_block
    reply = Reply(DEFAULT, PACKING, Numbers(held, PACKING))
    reply.take(header(epoch=1, slots=slots, blocks=blocks, partial=True, extents=runs))
    if blocks:
        reply.take(search_pb2.SearchResponse(blocks=bytes(blocks * reply_block_bytes(DEFAULT, PACKING))))
    reply.finish()
    found = reply.by_slot(reply.raw_scores().astype(np.float32))
    assert found.shape == (slots,)
    for slot in range(slots):
        if slot // SLOTS_PER_EXTENT in extents:
            assert found[slot] == slot
        else:
            assert np.isnan(found[slot])


@pytest.mark.parametrize("case", json.loads((VECTORS / "partial_reply.json").read_text()))
def test_scores_of_the_published_vectors_land_where_they_say(case: dict[str, Any]) -> None:
    packing = Packing(DEFAULT.ring_degree, 512, case["packing_factor"])
    firsts, slots = case["first_slot_of_each_block"], case["slots"]
    held = np.concatenate([np.zeros(0, np.int64), *(first + np.arange(packing.rows_per_block) for first in firsts)])
    reply = Reply(DEFAULT, packing, Numbers(held, packing))
    runs = [search_pb2.ExtentRun(**run) for run in case["extents"]]
    reply.take(header(epoch=1, slots=slots, blocks=case["blocks"], partial=True, extents=runs))
    if firsts:
        reply.take(search_pb2.SearchResponse(blocks=bytes(case["blocks"] * reply_block_bytes(DEFAULT, packing))))
    found = reply.by_slot(reply.raw_scores().astype(np.float32))
    expected = np.full(slots, np.nan, np.float32)
    expected[held[held < slots]] = held[held < slots]
    np.testing.assert_array_equal(found, expected)


def block_slots(extent: int, slots: int) -> np.ndarray:
    """The slots of the blocks of an extent, padding of the last block included."""
    count = min(SLOTS_PER_EXTENT, slots - extent * SLOTS_PER_EXTENT)
    return extent * SLOTS_PER_EXTENT + np.arange(PACKING.blocks(count) * PACKING.rows_per_block)


@pytest.mark.parametrize(
    "fields",
    [
        {"slots": 5000, "blocks": 8, "extents": runs_of([0])},
        {"slots": 5000, "blocks": 8, "partial": True, "extents": runs_of([0, 1])},
        {"slots": 5000, "blocks": 16, "partial": True, "extents": runs_of([1, 0])},
        {"slots": 5000, "blocks": 16, "partial": True, "extents": runs_of([0, 0])},
        {"slots": 5000, "blocks": 16, "partial": True, "extents": runs_of([0, 1])},
        {"slots": 5000, "blocks": 0, "partial": True, "extents": runs_of([3])},
        {"slots": 5000, "blocks": 0, "partial": True, "extents": [search_pb2.ExtentRun(first=0, count=0)]},
        {"slots": 5000, "blocks": 20, "partial": True, "extents": [search_pb2.ExtentRun(first=0, count=4)]},
        {"slots": 5000, "blocks": 20, "partial": True, "extents": [search_pb2.ExtentRun(first=0, count=2**32 - 1)]},
        {"slots": 5000, "blocks": 8, "partial": True, "extents": [search_pb2.ExtentRun(first=2**32 - 1, count=1)]},
        {"slots": 5000, "blocks": 20, "partial": True},
        {"slots": 0, "blocks": 1, "partial": True, "extents": runs_of([0])},
    ],
)
def test_headers_whose_extents_cannot_be_are_malformed(fields: dict[str, Any]) -> None:
    reply = Reply(DEFAULT, PACKING, Numbers(np.zeros(0, np.int64), PACKING))
    with pytest.raises(MalformedMessage):
        reply.take(header(epoch=1, **fields))
