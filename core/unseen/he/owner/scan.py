"""The server's half of the owner-encrypted index: hold ciphertexts, answer a ciphertext with ciphertexts.

    check, expand -> for every four blocks: multiply and sum -> transform back -> join primes -> switch -> emit

It cannot decrypt anything, neither rows nor queries nor scores. Running time depends on sizes, never on values. Not
safe for writers beside readers: the caller keeps them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput, LimitExceeded
from unseen.he.chacha20 import state_of
from unseen.he.owner.digits import cut, empty_digits, expand_and_cut, whole_query
from unseen.he.owner.kernel import QUAD, multiply_accumulate
from unseen.he.owner.message import Ciphertexts, read_ciphertexts, reply_block_bytes, reply_runs
from unseen.he.owner.reply import finish_blocks, fractions, joining_roots
from unseen.he.owner.segment import Segment
from unseen.he.packing import Packing
from unseen.he.scan_threads import ScanThreads, Submit
from unseen.he.segmented import Segmented
from unseen.params import OwnerParameterSet, require_safe

BoolArray = npt.NDArray[np.bool_]
Int16Array = npt.NDArray[np.int16]

CHUNKS_PER_TASK = 16
"""Chunks of a query that one task expands: few enough that threads share them evenly. Even: pairs are not shared."""
MOST_ADDITIONS = 2
"""Ciphertexts that one block may be the sum of. Errors add up: with three the score error passes 0.001 (``noise``)."""


class OwnerScanIndex(Segmented[Segment]):
    """The encrypted rows of one collection, block by block; a block that was never written scores zero."""

    def __init__(
        self,
        parameters: OwnerParameterSet,
        dimension: int,
        packing_factor: int,
        threads: ScanThreads | None = None,
    ) -> None:
        """threads: what queries are answered by, shared with other indexes; None makes one thread of its own."""
        self.parameters = require_safe(parameters)
        packing = Packing(parameters.ring_degree, dimension, packing_factor)
        super().__init__(packing, partial(Segment, parameters, packing))
        self.threads = threads or ScanThreads()
        self._additions: dict[int, int] = {}
        self._moduli = np.array(parameters.moduli, np.int64)
        self._roots, self._weights = joining_roots(parameters), fractions(parameters)
        self._bits = np.array([bits for bits, _ in reply_runs(parameters, self.packing)], np.int64)

    # ----------------------------------------------------------------------------------------------------- blocks

    def put_block(self, block: int, data: bytes) -> None:
        """Replace a block by what its owner encrypted; of what stood there nothing stays.

        Raises MalformedMessage for bytes that are no block of this packing; then nothing was changed.
        """
        ciphertexts = read_ciphertexts(self.parameters, self.packing, data)
        self._segment(block).write(block % QUAD, ciphertexts)
        self._additions[block] = 1

    def add_to_block(self, block: int, data: bytes) -> None:
        """Add what its owner encrypted to a block: rows in slots that were empty stand in it afterwards.

        Raises MalformedMessage as ``put_block`` does, LimitExceeded when the block is the sum of too many already: its
        owner has to write it anew.
        """
        ciphertexts = read_ciphertexts(self.parameters, self.packing, data)
        additions = self.additions(block) + 1
        if additions > MOST_ADDITIONS:
            raise LimitExceeded(
                f"this block is a sum of {MOST_ADDITIONS} ciphertexts, which is the most: write it anew"
            )
        self._segment(block).add(block % QUAD, ciphertexts)
        self._additions[block] = additions

    def clear_block(self, block: int) -> None:
        """Make a block zero."""
        if block in self._additions:
            self._segments[block // QUAD].clear(block % QUAD)
            del self._additions[block]

    def additions(self, block: int) -> int:
        """How many ciphertexts a block is the sum of; 0 for one that was never written."""
        return self._additions.get(block, 0)

    def _segment(self, block: int) -> Segment:
        if block < 0:
            raise InvalidInput(f"got block {block}, expected 0 or more")
        self.reserve((block + 1) * self.packing.rows_per_block)
        return self._segments[block // QUAD]

    # ------------------------------------------------------------------------------------------------------- scan

    def answer(
        self,
        query: bytes,
        slots: int,
        emit: Callable[[bytes], None],
        cancelled: Callable[[], bool] = lambda: False,
        wanted: BoolArray | None = None,
        query_packing: Packing | None = None,
    ) -> None:
        """Emit the reply blocks that cover ``slots``, in order, each as soon as it is ready; stop when cancelled.

        ``wanted``, one for each of those blocks, leaves the others out. ``query_packing`` is given to an index of side
        blocks: the packing of the index beside it, for which the query was made. Raises MalformedMessage for a query
        that does not parse.
        """
        arrived = read_ciphertexts(self.parameters, query_packing or self.packing, query)
        if slots > self.capacity:
            raise InvalidInput(f"got {slots} slots, expected at most the {self.capacity} that this index holds")
        blocks = self.packing.blocks(slots)
        chosen = np.ones(blocks, np.bool_) if wanted is None else wanted
        with self.threads.lent() as submit:
            if query_packing is None:
                digits = self._digits(submit, arrived)
            else:
                digits = submit(partial(self._derived_digits, query_packing, arrived)).result()
            for reply in self.threads.in_order(submit, self._works(chosen, digits), cancelled):
                emit(reply)

    def _digits(self, submit: Submit, arrived: Ciphertexts) -> Int16Array:
        """Expand a query and cut it for the kernel, in several threads."""
        digits = empty_digits(self.parameters, self.packing)

        def task(first: int) -> None:
            c0 = arrived.c0[first : first + CHUNKS_PER_TASK]
            expand_and_cut(state_of(arrived.seed), c0, first, self._moduli, digits)

        for done in [submit(partial(task, first)) for first in range(0, self.packing.chunks, CHUNKS_PER_TASK)]:
            done.result()
        return digits

    def _derived_digits(self, query_packing: Packing, arrived: Ciphertexts) -> Int16Array:
        """Make this index's query of one chunk from one that was made for another packing of the same vectors."""
        fits = self.packing.factor % query_packing.factor == 0 and self.packing.dimension == query_packing.dimension
        if self.packing.chunks != 1 or not fits:
            raise InvalidInput(f"got a query packed by {query_packing.factor} for side blocks of {self.packing.factor}")
        digits = empty_digits(self.parameters, self.packing)
        for polynomial, residues in enumerate(whole_query(self.parameters, query_packing, arrived)):
            for number, modulus in enumerate(self.parameters.moduli):
                cut(residues[:, number], polynomial, 0, modulus, digits[number])
        return digits

    def _works(self, wanted: BoolArray, digits: Int16Array) -> Iterator[Callable[[], bytes]]:
        """What there is to do: the replies of up to four blocks each, where one of them is wanted."""
        for first in range(0, len(wanted), QUAD):
            emitted = wanted[first : first + QUAD]
            if emitted.any():
                yield partial(self._scan_segment, first // QUAD, emitted, digits)

    def _scan_segment(self, segment: int, emitted: BoolArray, digits: Int16Array) -> bytes:
        """Reply blocks of one segment, those that are emitted: one crossing out of the interpreter."""
        scratch = self.threads.scratch(self.parameters.ring_degree)
        out = np.zeros((len(emitted), reply_block_bytes(self.parameters, self.packing)), np.uint8)
        _scan_and_finish(
            digits,
            np.array(self._segments[segment].addresses, np.uint64),
            self._moduli,
            self._roots,
            self._weights,
            self._bits,
            self.packing.factor,
            scratch.lanes,
            scratch.sums.reshape(scratch.lanes.shape),
            out,
        )
        return out.tobytes() if emitted.all() else out[emitted].tobytes()


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _scan_and_finish(digits, addresses, moduli, roots, weights, bits, factor, lanes, other, out):  # type: ignore[no-untyped-def]
    """Sum one segment modulo both primes and finish its blocks; ``out`` has room for no more than the four it holds."""
    multiply_accumulate(digits[0], addresses[0], np.int32(moduli[0]), lanes[0])
    multiply_accumulate(digits[1], addresses[1], np.int32(moduli[1]), other[0])
    finish_blocks(lanes, other, roots, moduli, weights, bits, factor, out)
