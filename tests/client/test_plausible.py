"""What a device makes of replies to an owner's query: honest ones are always answers, others are refused at home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.hand_driver import Driver
from tests.client.owner_paper import OwnerPaperServer
from unseen.errors import ReplyRefused
from unseen.he.owner.layout import SIDE_BLOCKS, Layout, choose
from unseen.he.owner.message import SwitchedBlocks, read_reply_blocks, reply_block_bytes, write_reply_blocks
from unseen.he.owner.noise import score_error_std
from unseen.params import OWNER_DEFAULT as OWNER
from unseen_client.flows.plausible import DEVIATIONS, looked_at

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION, FACTOR = 64, 4
LAYOUT = Layout.of(OWNER, DIMENSION, FACTOR)
SIDE_ROWS, WHOLE_ROWS = LAYOUT.side.rows_per_block, LAYOUT.whole.rows_per_block
SIDE_BYTES = reply_block_bytes(OWNER, LAYOUT.side)
STEPS_OF_ONE = round((1 << OWNER.reply_c0_bits) * OWNER.query_range / 2)
"""What a score of 1 is in the switched c0."""
ROWS = WHOLE_ROWS + 7
"""A whole block full of rows, and seven in a side block."""
Vectors = Callable[..., np.ndarray]


@pytest.fixture
def owner_device(home: Path, unit_vectors: Vectors):
    server = OwnerPaperServer()
    driver = Driver(server, home)
    driver(driver.protocol.create_collection("secret", None, DIMENSION, None, True, protection="owner"))
    driver(
        driver.protocol.enrol_vectors("secret", [str(at) for at in range(ROWS)], unit_vectors(ROWS, DIMENSION), None)
    )
    yield driver
    driver.session.close()
    server.close()


def search(driver: Driver, vector: np.ndarray, top_k: int = 3):
    return driver(driver.protocol.search_vector("secret", vector, top_k))


def changed(header, reply: bytearray, side: bool, change: Callable[[SwitchedBlocks], None]) -> None:
    """Change one of the two blocks of a reply: the side block comes first."""
    packing, part = (LAYOUT.side, slice(SIDE_BYTES)) if side else (LAYOUT.whole, slice(SIDE_BYTES, None))
    blocks = read_reply_blocks(OWNER, packing, bytes(reply[part]))
    change(blocks)
    reply[part] = write_reply_blocks(OWNER, packing, blocks)


def added(side: bool, place: int, score: float) -> Callable[..., None]:
    """A score added to one place."""

    def add(blocks: SwitchedBlocks) -> None:
        blocks.c0[0, place] = (int(blocks.c0[0, place]) + round(score * STEPS_OF_ONE)) % (1 << OWNER.reply_c0_bits)

    return lambda header, reply: changed(header, reply, side, add)


def test_honest_replies_are_answers_through_a_collections_life(owner_device, unit_vectors: Vectors) -> None:
    vectors, more = unit_vectors(ROWS, DIMENSION), unit_vectors(40, DIMENSION, 2)
    there = dict(enumerate(vectors))

    def right() -> bool:
        for query in unit_vectors(2, DIMENSION, 3):
            hits = search(owner_device, query, ROWS + 40)
            assert {hit.id for hit in hits} == set(map(str, there))
            error = DEVIATIONS * score_error_std(OWNER, LAYOUT.whole)
            assert all(abs(hit.score - there[int(hit.id)] @ query) < error for hit in hits)
        return True

    assert right()
    gone = [0, 5, WHOLE_ROWS + 2, ROWS - 1]
    owner_device(owner_device.protocol.erase("secret", list(map(str, gone)), None))
    for row in gone:
        del there[row]
    assert right()
    again = [5, *range(1000, 1003)]
    owner_device(owner_device.protocol.enrol_vectors("secret", list(map(str, again)), more[:4], None))
    there |= dict(zip(again, more[:4], strict=True))
    assert right()


def nonsense(header, reply):
    reply[:] = np.random.default_rng(1).bytes(len(reply))


def zeros(header, reply):
    reply[:] = bytes(len(reply))


def the_key(header, reply):
    """Eight scores that are coefficients of the key: tests/attacks/test_owner_scores_sent_back.py."""

    def craft(blocks: SwitchedBlocks) -> None:
        for part in (blocks.c0, blocks.c1, blocks.c2):
            part[:] = 0
        blocks.c1[0, 3] = 1 << 10

    changed(header, reply, False, craft)


def turned(header, reply):
    """Every row's score in the place of the next row's."""

    def roll(blocks: SwitchedBlocks) -> None:
        blocks.c0[:] = np.roll(blocks.c0, 1, axis=1)

    changed(header, reply, False, roll)


def older(header, reply):
    header.epoch -= 1


def fewer_side_blocks(header, reply):
    header.side_blocks, header.blocks = 0, header.blocks - 1
    del reply[:SIDE_BYTES]


def fewer_slots(header, reply):
    header.slots, header.blocks, header.side_blocks = 3, 1, 1
    del reply[SIDE_BYTES:]


@pytest.mark.parametrize(
    "lie",
    [
        nonsense,
        zeros,
        the_key,
        turned,
        older,
        fewer_side_blocks,
        fewer_slots,
        pytest.param(added(True, 20, 0.02), id="a score where no row stands"),
        pytest.param(added(False, 9, 0.02), id="a score larger than any"),
    ],
)
def test_what_no_honest_server_answers_is_refused_in_the_same_words(owner_device, unit_vectors: Vectors, lie) -> None:
    vectors = unit_vectors(ROWS, DIMENSION)
    search(owner_device, vectors[9])
    owner_device.server.change_reply = lie
    with pytest.raises(ReplyRefused, match="cannot be the scores of collection 'secret'; nothing of it is shown, and"):
        search(owner_device, vectors[9])


def test_a_hit_is_shown_with_its_true_score_or_not_at_all(owner_device, unit_vectors: Vectors) -> None:
    """A row that is put before the others is among the hits, and what is among the hits is looked at."""
    query = unit_vectors(1, DIMENSION, 7)[0]
    owner_device.server.change_reply = added(False, 100, 0.8)
    with pytest.raises(ReplyRefused):
        search(owner_device, query, 1)


def test_of_every_block_the_newest_row_is_looked_at(owner_device, unit_vectors: Vectors) -> None:
    """Even when it is the only one that is wrong, and no hit: what shows a block from before it was written."""
    first = unit_vectors(1, DIMENSION, 4)[0]
    owner_device(owner_device.protocol.enrol_vectors("secret", ["newest"], first[None], None))
    owner_device.server.change_reply = added(True, 7, -0.02)
    with pytest.raises(ReplyRefused):
        search(owner_device, unit_vectors(1, DIMENSION, 5)[0], 1)


@given(st.dictionaries(st.integers(0, LAYOUT.side_slots + 3 * WHOLE_ROWS - 1), st.integers(1, 5), max_size=400))
def test_each_block_with_rows_has_a_newest_and_a_drawn_one_looked_at(rows: dict[int, int]) -> None:
    slots = np.array(sorted(rows), np.int64)
    chosen = looked_at(LAYOUT, slots, np.array([rows[slot] for slot in slots.tolist()], np.int64)).tolist()
    by_block: dict[int, list[int]] = {}
    for slot in rows:
        by_block.setdefault(LAYOUT.block_of(slot), []).append(slot)
    assert {LAYOUT.block_of(slot) for slot in chosen} == set(by_block)
    for block, there in by_block.items():
        mine = [slot for slot in chosen if LAYOUT.block_of(slot) == block]
        assert 1 <= len(mine) <= 2
        assert max(rows[slot] for slot in mine) == max(rows[slot] for slot in there)


def test_which_row_is_drawn_differs_from_look_to_look() -> None:
    slots = np.arange(LAYOUT.side_slots, LAYOUT.side_slots + WHOLE_ROWS)
    assert len({tuple(looked_at(LAYOUT, slots, np.ones(len(slots), np.int64)).tolist()) for _ in range(20)}) > 10


def test_factors_here_are_those_of_a_collection_that_is_made() -> None:
    assert choose(OWNER, DIMENSION) == FACTOR
    assert LAYOUT.side_slots == SIDE_BLOCKS * SIDE_ROWS
