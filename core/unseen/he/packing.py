"""Which coefficient holds which coordinate. Both sides read this page; it holds no secret.

One query ciphertext carries k coordinates in its k lowest coefficients; one row polynomial carries the same k
coordinates of N/k rows, each row's run reversed, so that one product sums them (k = 4 drawn, g is the chunk):

    coefficient        0      1      2      3   |   4      5      6      7   |  ...
    query  Q_g        q[4g] q[4g+1] q[4g+2] q[4g+3] |   0      0      0      0   |   0
    rows   P_g        row 0, coordinates            |  row 1, coordinates        |  ... row N/k - 1
                      4g+3   4g+2   4g+1   4g       |  4g+3   4g+2   4g+1   4g   |
    Q_g * P_g                               <q,row 0>_g                  <q,row 1>_g

Summed over g, coefficient r*k + k-1 of the product is the whole inner product with row r. A block is the N/k rows
that share their polynomials; the other coefficients of the product mix neighbouring rows and are never sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput
from unseen.params import SEED_BYTES, ParameterSet

LEAST_DIMENSION = 8
MOST_DIMENSION = 4096
GROWTH_BEFORE_REPACKING = 1.5
"""Re-packing rewrites the whole index: not for every batch of a collection that is just being filled."""
SAVING_WORTH_REPACKING = 0.05
"""The best factor halves with every four-fold growth, so a collection of a million rows is re-packed nine times."""

Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packing:
    """How vectors of one dimension lie in polynomials of degree below N: ``factor`` coordinates (k) in each."""

    ring_degree: int
    dimension: int
    factor: int

    def __post_init__(self) -> None:
        if not LEAST_DIMENSION <= self.dimension <= MOST_DIMENSION:
            raise InvalidInput(f"got dimension {self.dimension}, expected {LEAST_DIMENSION} to {MOST_DIMENSION}")
        if self.factor not in factors(self.ring_degree, self.dimension):
            raise InvalidInput(
                f"got packing factor {self.factor} for dimension {self.dimension},"
                f" expected one of {factors(self.ring_degree, self.dimension)}"
            )

    @property
    def chunks(self) -> int:
        """Polynomials a vector is cut into; the last one is padded with zeros."""
        return -(-self.dimension // self.factor)

    @property
    def rows_per_block(self) -> int:
        return self.ring_degree // self.factor

    def blocks(self, slots: int) -> int:
        """Blocks that hold this many slots."""
        return -(-slots // self.rows_per_block)

    def score_coefficients(self) -> slice:
        """Where the inner products of a block's rows stand: r*k + k-1."""
        return slice(self.factor - 1, self.ring_degree, self.factor)

    def query_polynomials(self, query: Int64Array) -> Int64Array:
        """The k lowest coefficients of every Q_g: (dimension,) -> (chunks, k)."""
        padded = np.zeros(self.chunks * self.factor, np.int64)
        padded[: self.dimension] = query
        return padded.reshape(self.chunks, self.factor)

    def row_polynomials(self, rows: Int16Array) -> Int16Array:
        """The polynomials P_g of one block: (rows_per_block, dimension) -> (chunks, N)."""
        padded = np.zeros((self.rows_per_block, self.chunks * self.factor), np.int16)
        padded[:, : self.dimension] = rows
        runs = padded.reshape(self.rows_per_block, self.chunks, self.factor)[:, :, ::-1]
        return np.ascontiguousarray(runs.transpose(1, 0, 2)).reshape(self.chunks, self.ring_degree)

    def rows_of_polynomials(self, polynomials: Int16Array) -> Int16Array:
        """The inverse of ``row_polynomials``: (chunks, N) -> (rows_per_block, dimension)."""
        runs = polynomials.reshape(self.chunks, self.rows_per_block, self.factor)[:, :, ::-1]
        rows = np.ascontiguousarray(runs.transpose(1, 0, 2)).reshape(self.rows_per_block, -1)
        return rows[:, : self.dimension]


def factors(ring_degree: int, dimension: int) -> tuple[int, ...]:
    """Packing factors that make sense: powers of two up to the first that holds a whole vector."""
    most = min(ring_degree, 1 << (dimension - 1).bit_length())
    return tuple(1 << bit for bit in range(most.bit_length()))


def traffic_bytes(parameters: ParameterSet, packing: Packing, slots: int) -> int:
    """Bytes up and down of one query over this many slots; framing, a few dozen bytes, is left out."""
    n = parameters.ring_degree
    chunk = SEED_BYTES + n * (parameters.residue_bits - parameters.query_drop_bits) // 8
    public_key = SEED_BYTES + n * parameters.residue_bits // 8
    block = n * parameters.reply_c1_bits // 8 + -(-packing.rows_per_block * parameters.reply_c0_bits // 8)
    return packing.chunks * chunk + public_key + packing.blocks(slots) * block


def choose_factor(parameters: ParameterSet, dimension: int, slots: int) -> int:
    """The factor with the least traffic for this many slots; the smaller one wins a tie."""
    n = parameters.ring_degree
    slots = max(slots, 1)
    return min(factors(n, dimension), key=lambda k: traffic_bytes(parameters, Packing(n, dimension, k), slots))


def should_repack(parameters: ParameterSet, dimension: int, slots: int, chosen_at: int, factor: int) -> bool:
    """Whether another factor would save a twentieth of the traffic of a collection that has grown since its own."""
    if slots < GROWTH_BEFORE_REPACKING * chosen_at:
        return False
    n = parameters.ring_degree
    best = Packing(n, dimension, choose_factor(parameters, dimension, slots))
    now = traffic_bytes(parameters, Packing(n, dimension, factor), slots)
    return traffic_bytes(parameters, best, slots) < (1 - SAVING_WORTH_REPACKING) * now
