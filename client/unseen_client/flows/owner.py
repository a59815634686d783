"""Owner-encrypted collections on the device: rows into blocks, blocks written anew, queries and replies.

The server learns how many rows there are, which blocks are written when, and that somebody searches. Whether a
collection is owner-encrypted is what its key on this device says, never what a server says: see ``sync``.

Blocks are written from the copies in the records, which are sealed by this collection's members and bound to their
rows, never from what a server's ciphertexts decrypt to. Nothing that a decryption shows is sent anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen import params, wire
from unseen.errors import IntegrityError, KeyMissing, MalformedMessage, RowNotFound, ServerUnavailable
from unseen.he.owner.layout import SIDE_BLOCKS, Layout
from unseen.he.owner.message import reply_block_bytes
from unseen.he.owner.secret import OwnerKey
from unseen.he.quantise import quantise_query
from unseen.types import EncryptedBlock
from unseen.v1 import search_pb2
from unseen_client.coordinates import as_coordinates
from unseen_client.flows.sync import Place
from unseen_client.mirror import SLOT_LIMIT

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]

SINGLE_ROWS = 32
"""A remainder of more rows than this, or a fourth of a block, takes a whole block rather than side blocks."""


@dataclass(frozen=True)
class Placed:
    """New rows with their places and the blocks that hold them."""

    slots: tuple[int, ...]
    blocks: tuple[EncryptedBlock, ...]


@dataclass(frozen=True)
class Moved:
    """Rows that are there and move, with their new places and the blocks that they leave and come into."""

    row_ids: tuple[bytes, ...]
    placed: Placed


def layout_of(place: Place) -> Layout:
    """Where the rows of a collection stand."""
    collection = place.collection
    return Layout.of(params.owner_by_id(collection.parameter_id), collection.dimension, collection.packing_factor)


def owner_key(place: Place) -> OwnerKey:
    """The key that encrypts a collection's rows; close it."""
    root = place.key.owner_key
    if root is None:
        raise KeyMissing(f"this device holds no owner key for collection {place.collection.name!r}")
    return OwnerKey(params.owner_by_id(place.collection.parameter_id), root)


# Rows


def placed(place: Place, rows: Int16Array) -> Placed:
    """Choose places for new rows (n, d), quantised, and encrypt the blocks they come into."""
    epoch = place.mirror.epoch  # before anything is read of the mirror: what comes in later makes the write refused
    layout = layout_of(place)
    slots = choose_slots(layout, place.mirror.taken_slots(), len(rows))
    new = dict(zip(slots, rows, strict=True))
    numbers = sorted({layout.block_of(slot) for slot in slots})
    with owner_key(place) as key:
        blocks = tuple(_block(place, layout, key, number, epoch, new) for number in numbers)
    return Placed(tuple(slots), blocks)


def without(place: Place, row_ids: Sequence[bytes]) -> EncryptedBlock:
    """The block that these rows stand in, encrypted anew without them; RowNotFound when one is not there."""
    epoch = place.mirror.epoch
    layout = layout_of(place)
    slots = place.mirror.slots(row_ids)
    numbers = {layout.block_of(slot) for slot in slots}
    if len(slots) != len(row_ids) or len(numbers) != 1:
        raise RowNotFound("rows were erased or moved by another device meanwhile; ask again")
    with owner_key(place) as key:
        return _block(place, layout, key, numbers.pop(), epoch, {}, frozenset(row_ids))


def by_block(place: Place, row_ids: Sequence[bytes]) -> list[list[bytes]]:
    """Rows that are there, apart by the block that they stand in."""
    layout, slots = layout_of(place), place.mirror.slots(row_ids)
    if len(slots) != len(row_ids):
        raise RowNotFound("rows were erased by another device meanwhile, nothing was erased now; ask again")
    apart: dict[int, list[bytes]] = {}
    for row, slot in zip(row_ids, slots, strict=True):
        apart.setdefault(layout.block_of(slot), []).append(row)
    return list(apart.values())


def choose_slots(layout: Layout, taken: npt.NDArray[np.intp], count: int) -> list[int]:
    """Free slots for new rows: of whole blocks, and for a small rest of side blocks."""
    size = layout.whole.rows_per_block
    rest = count % size
    side = np.setdiff1d(np.arange(layout.side_slots), taken)
    if rest > min(SINGLE_ROWS, max(1, size // 4), len(side)):
        return whole_slots(layout, taken, count)
    return [*whole_slots(layout, taken, count - rest), *map(int, side[:rest])]


def whole_slots(layout: Layout, taken: npt.NDArray[np.intp], count: int) -> list[int]:
    """Free slots of whole blocks: of unused ones, and for the rest the free places of one."""
    size = layout.whole.rows_per_block
    used = np.bincount((taken[taken >= layout.side_slots] - layout.side_slots) // size)
    # Emptied blocks before new ones: every block that was ever written is a part of every reply.
    unused = itertools.chain(map(int, np.flatnonzero(used == 0)), itertools.count(len(used)))
    filled = [SIDE_BLOCKS + number for number in itertools.islice(unused, count // size)]
    slots = [slot for block in filled for slot in layout.slots_of(block)]
    if rest := count % size:
        fitting = np.flatnonzero((used > 0) & (used + rest <= size))
        block = SIDE_BLOCKS + (int(fitting[0]) if len(fitting) else next(unused))
        slots += map(int, np.setdiff1d(np.array(layout.slots_of(block)), taken)[:rest])
    return slots


def is_worth_packing(place: Place) -> bool:
    """Whether side blocks are half full, or hold as many rows as a whole block."""
    layout = layout_of(place)
    side_rows = np.count_nonzero(place.mirror.taken_slots() < layout.side_slots)
    return bool(side_rows >= min(layout.side_slots // 2, layout.whole.rows_per_block))


def moved(place: Place, most: int) -> Moved:
    """Places in whole blocks for rows of side blocks, some ``most`` of them, and the blocks of either kind."""
    epoch = place.mirror.epoch  # first: see ``placed``
    layout = layout_of(place)
    size = layout.side.rows_per_block
    first = int(min(place.mirror.taken_slots(), default=0)) // size * size
    most -= most % size
    leaving = place.mirror.rows_between(first, min(first + most, layout.side_slots))
    slots = whole_slots(layout, place.mirror.taken_slots(), len(leaving))
    new = {slot: _kept(place, layout, row, sealed) for slot, (_, row, sealed) in zip(slots, leaving, strict=True)}
    emptied = sorted({layout.block_of(slot) for slot, _, _ in leaving})
    with owner_key(place) as key:
        blocks = [_block(place, layout, key, number, epoch, new) for number in sorted(set(map(layout.block_of, slots)))]
    blocks += [EncryptedBlock(number, epoch, b"") for number in emptied]
    return Moved(tuple(row for _, row, _ in leaving), Placed(tuple(slots), tuple(blocks)))


def _block(
    place: Place,
    layout: Layout,
    key: OwnerKey,
    number: int,
    epoch: int,
    new: Mapping[int, Int16Array],
    left_out: frozenset[bytes] = frozenset(),
) -> EncryptedBlock:
    """A block under a fresh seed: the rows that stand in it, from their sealed copies, and the new ones."""
    slots = layout.slots_of(number)
    packing = layout.packing(number)
    rows = np.zeros((packing.rows_per_block, packing.dimension), np.int16)
    for slot in slots:
        if slot in new:
            rows[slot - slots.start] = new[slot]
    for slot, row, sealed in place.mirror.rows_between(slots.start, slots.stop):
        if row not in left_out:
            rows[slot - slots.start] = _kept(place, layout, row, sealed)
    return EncryptedBlock(number, epoch, key.encrypt_rows(packing, rows)[0])


def _kept(place: Place, layout: Layout, row: bytes, sealed: bytes) -> Int16Array:
    """A row's coordinates as its record keeps them."""
    vector = place.opened(row, sealed).vector
    if vector is None or vector.shape != (place.collection.dimension,):
        raise IntegrityError(
            "a record of this owner-encrypted collection lacks its vector, so its block cannot be written anew; "
            "nothing was changed"
        )
    return as_coordinates(vector, layout.parameters.row_scale)


# Search


def encrypt_query(place: Place, vector: Float32Array) -> bytes:
    """A query under the owner's key: another one each time."""
    layout = layout_of(place)
    with owner_key(place) as key:
        return key.encrypt_query(layout.whole, quantise_query(layout.parameters, vector))


class OwnerReply:
    """Receives one reply whole; nothing of it is decrypted before the call is over."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._layout = layout_of(place)
        self._header: search_pb2.SearchReplyHeader | None = None
        self._blocks = bytearray()
        self._expected = 0

    @property
    def epoch(self) -> int:
        """The epoch of the rows that were scored."""
        return 0 if self._header is None else self._header.epoch

    def take(self, reply: search_pb2.SearchResponse) -> None:
        if reply.WhichOneof("part") == "header":
            self._take_header(reply.header)
        elif self._header is None or not 0 < len(reply.blocks) <= self._expected - len(self._blocks):
            raise MalformedMessage("got more blocks than the reply named; the server does not fit this client")
        else:
            self._blocks += reply.blocks

    def _take_header(self, header: search_pb2.SearchReplyHeader) -> None:
        whole = self._layout.whole.blocks(self._layout.whole_slots(header.slots))
        named = self._header is None and header.slots <= SLOT_LIMIT and header.side_blocks <= SIDE_BLOCKS
        if not named or header.partial or header.extents or header.blocks != header.side_blocks + whole:
            raise MalformedMessage(
                f"the reply names {header.blocks} blocks, {header.side_blocks} of them side blocks, for {header.slots} "
                "slots, which does not fit together, or comes twice; the server does not fit this client"
            )
        wire.require_epoch(header.epoch, "a reply")
        self._header, self._expected = header, self._layout.reply_bytes(header.side_blocks, whole)

    def finish(self) -> None:
        if self._header is None or len(self._blocks) != self._expected:
            raise ServerUnavailable(f"the reply was cut: {self._expected - len(self._blocks)} bytes are missing")

    def close(self) -> None:
        self._blocks.clear()

    def raw_scores(self) -> Int64Array:
        """Decrypted scores by slot; 0 for side blocks that did not come."""
        layout = self._layout
        side_blocks = 0 if self._header is None else self._header.side_blocks
        end = side_blocks * reply_block_bytes(layout.parameters, layout.side)
        data = bytes(self._blocks)
        scores = [np.zeros(layout.side_slots, np.int64)]
        with owner_key(self._place) as key:
            if side_blocks:
                found = key.decrypt(layout.side, data[:end])
                scores[0][: len(found)] = found
            if len(data) > end:
                scores.append(key.decrypt(layout.whole, data[end:]))
        return np.concatenate(scores)

    def by_slot(self, scores: Float32Array) -> Float32Array:
        """Scores of the slots that were handed out; NaN where a side block did not come."""
        return np.where(self.scored(len(scores)), scores, np.float32(np.nan))[: self._slots]

    def scored(self, places: int) -> BoolArray:
        """Which of so many places are slots that were handed out and of which a score came."""
        side_blocks = 0 if self._header is None else self._header.side_blocks
        scored = np.arange(places) < self._slots
        scored[side_blocks * self._layout.side.rows_per_block : self._layout.side_slots] = False
        return scored

    @property
    def _slots(self) -> int:
        return 0 if self._header is None else self._header.slots
