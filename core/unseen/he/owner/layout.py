"""Where the rows of an owner-encrypted collection stand: side blocks first, whole blocks after them.

Public on both sides. Blocks are numbered through; a slot belongs to one block for good:

    block      0 .. SIDE_BLOCKS - 1              SIDE_BLOCKS ..
    packing    k' at least d: a few rows each    k, as the collection was made with
    slots      the first ones, in order          the next ones, in order

A block is written whole, so it has to fit one message of the contract. The packing factor k is chosen when the
collection is made and stays: only the owner could take coefficients apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.errors import InvalidInput
from unseen.he.owner.message import choose_factor, ciphertexts_bytes, reply_block_bytes
from unseen.he.packing import Packing, factors
from unseen.params import OwnerParameterSet

SIDE_BLOCKS = 32
"""At dimension 512 they hold 128 rows, and add 32 replies of about 10 KB to a search once all are in use."""
MOST_BLOCK_BYTES = 1_000_000
"""A message of the contract has 1 MiB."""
EXPECTED_ROWS = 10_000
"""What k is chosen for."""


@dataclass(frozen=True)
class Layout:
    """The blocks of one collection."""

    parameters: OwnerParameterSet
    whole: Packing
    side: Packing

    @staticmethod
    def of(parameters: OwnerParameterSet, dimension: int, factor: int) -> Layout:
        """That of a collection; raises InvalidInput for a dimension or factor that it cannot have."""
        require_dimension(parameters, dimension)
        degree = parameters.ring_degree
        side = Packing(degree, dimension, factors(degree, dimension)[-1])
        return Layout(parameters, Packing(degree, dimension, factor), side)

    @property
    def side_slots(self) -> int:
        """Slots of all side blocks: the first whole block begins here."""
        return SIDE_BLOCKS * self.side.rows_per_block

    def is_side(self, block: int) -> bool:
        return block < SIDE_BLOCKS

    def packing(self, block: int) -> Packing:
        """How the rows of a block lie."""
        return self.side if self.is_side(block) else self.whole

    def block_of(self, slot: int) -> int:
        """The block that a slot belongs to."""
        if slot < self.side_slots:
            return slot // self.side.rows_per_block
        return SIDE_BLOCKS + (slot - self.side_slots) // self.whole.rows_per_block

    def slots_of(self, block: int) -> range:
        """The slots of a block, in the order in which it holds their rows."""
        if self.is_side(block):
            size = self.side.rows_per_block
            return range(block * size, (block + 1) * size)
        size = self.whole.rows_per_block
        first = self.side_slots + (block - SIDE_BLOCKS) * size
        return range(first, first + size)

    def whole_slots(self, slots: int) -> int:
        """How many of so many slots lie in whole blocks."""
        return max(0, slots - self.side_slots)

    def block_bytes(self, block: int) -> int:
        """Length of a block as its owner writes it."""
        return ciphertexts_bytes(self.parameters, self.packing(block))

    @property
    def query_bytes(self) -> int:
        """Length of every query: side blocks get theirs from it, on the server."""
        return ciphertexts_bytes(self.parameters, self.whole)

    def reply_bytes(self, side_blocks: int, whole_blocks: int) -> int:
        """Length of a reply: side blocks first."""
        side, whole = (reply_block_bytes(self.parameters, packing) for packing in (self.side, self.whole))
        return side_blocks * side + whole_blocks * whole


def choose(parameters: OwnerParameterSet, dimension: int) -> int:
    """The packing factor of a new collection: least traffic at EXPECTED_ROWS, and a block fits a message."""
    require_dimension(parameters, dimension)
    degree = parameters.ring_degree
    fitting = [
        factor
        for factor in factors(degree, dimension)
        if ciphertexts_bytes(parameters, Packing(degree, dimension, factor)) <= MOST_BLOCK_BYTES
    ]
    return max(fitting[0], choose_factor(parameters, dimension, EXPECTED_ROWS))


def require_dimension(parameters: OwnerParameterSet, dimension: int) -> None:
    """InvalidInput unless one polynomial holds a whole vector, as side blocks need."""
    if not 8 <= dimension <= parameters.ring_degree:
        raise InvalidInput(
            f"got dimension {dimension}; owner-encrypted collections have 8 to {parameters.ring_degree} coordinates"
        )
