"""What a life of a store does, step by step: the same for who acts and for who checks, when they know the seed.

Rows are random bytes that follow from their step, so that nothing has to be told from one process to the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import cycle
from random import Random

import numpy as np

from unseen.store.interface import NewCollection
from unseen.types import RowBatch

DIMENSION = 16
RECORD_BYTES = 300
COLLECTION = NewCollection("faults", DIMENSION, "0" * 16, "none", 16)
CREATE, ENROL, ERASE, FACT, BACKUP, REKEY, ROTATE = "create", "enrol", "erase", "fact", "backup", "rekey", "rotate"
OFTEN = (ENROL,) * 11 + (ERASE,) * 5 + (FACT,) * 2 + (BACKUP,) * 2 + (REKEY, ROTATE)
"""How often each comes."""


@dataclass(frozen=True)
class Step:
    """One thing that is done."""

    number: int
    kind: str
    victim: int = -1
    """Of an erasure: the step whose rows it takes."""

    @property
    def request_id(self) -> bytes:
        return _bytes("request", self.number, 16)

    @property
    def rows(self) -> RowBatch:
        """Of an enrolment: one to eight rows."""
        count = 1 + self.number % 8
        random = np.random.default_rng(self.number)
        return RowBatch(
            tuple(_bytes("row", self.number * 8 + at, 16) for at in range(count)),
            random.integers(-100, 100, (count, DIMENSION), dtype=np.int16),
            tuple(random.bytes(RECORD_BYTES) for _ in range(count)),
        )


def _bytes(what: str, number: int, size: int) -> bytes:
    return hashlib.shake_256(f"{what} {number}".encode()).digest(size)


class Plan:
    """Chooses the next step. ``standing`` are the enrolments whose rows may still be erased.

    Kinds come as the seed has it; without one in turn.
    """

    def __init__(self, first: int, standing: list[int], seed: int | None, kinds: tuple[str, ...] = OFTEN) -> None:
        self._next = first
        self._standing = standing
        self._random = Random(seed or 0)
        self._in_turn = cycle(kinds) if seed is None else None
        self._kinds = kinds

    def step_of(self, kind: str) -> Step:
        """The next one, of this kind."""
        self._next += 1
        return Step(self._next - 1, kind)

    def step(self) -> Step:
        """The next one."""
        number = self._next
        self._next += 1
        kind = self._random.choice(self._kinds) if self._in_turn is None else next(self._in_turn)
        if kind == ERASE and self._standing:
            return Step(number, ERASE, self._standing.pop(self._random.randrange(len(self._standing))))
        if kind in (ERASE, ENROL):
            self._standing.append(number)
            return Step(number, ENROL)
        return Step(number, kind)
