"""Compartments of one collection: which rows may be searched for what.

A compartment is a version of the policy and a set of its purposes. Its number is what the store keeps rows apart by:
rows of two compartments never share an extent of slots, so never a block, so no crafted query reaches from one into the
other. Number 0 is of rows that were enrolled without an agreement; no purpose reaches those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unseen.errors import LimitExceeded
from unseen.store.requests import another_request
from unseen_server import limits


@dataclass(frozen=True)
class Compartment:
    """What the rows of one number have in common."""

    policy_version: int
    purposes: frozenset[str]


class Compartments:
    """Number -> compartment and back. Not safe for threads: the collection's lock is around it."""

    def __init__(self) -> None:
        self._by_number: dict[int, Compartment] = {}
        self._numbers: dict[Compartment, int] = {}

    def add(self, number: int, compartment: Compartment) -> None:
        """One that was written down."""
        self._by_number[number] = compartment
        self._numbers[compartment] = number

    def number_of(self, compartment: Compartment) -> int | None:
        """Its number, None when no row was ever enrolled for it."""
        return self._numbers.get(compartment)

    def next_number(self) -> int:
        """The number that a new one gets; LimitExceeded when there are too many."""
        if len(self._by_number) >= limits.MAX_COMPARTMENTS:
            raise LimitExceeded(
                f"a collection has at most {limits.MAX_COMPARTMENTS} different sets of purposes over all versions of "
                "its policy; enrol for one of those, or make another collection"
            )
        return len(self._by_number) + 1

    def require_number_of(self, compartment: Compartment) -> int:
        """Its number; RequestReplayed when there is none, so that no request can have used it."""
        number = self.number_of(compartment)
        if number is None:
            raise another_request()
        return number

    def purposes(self, number: int) -> frozenset[str]:
        """What rows of this number may be searched for."""
        found = self._by_number.get(number)
        return frozenset() if found is None else found.purposes

    def versions(self) -> Iterable[int]:
        """Every policy version that rows were enrolled under."""
        return {compartment.policy_version for compartment in self._by_number.values()}

    def allowing(self, purpose: str) -> frozenset[int]:
        """Numbers whose rows may be searched for a purpose."""
        return frozenset(number for number, one in self._by_number.items() if purpose in one.purposes)

    def every(self) -> frozenset[int]:
        """Numbers of all."""
        return frozenset(self._by_number)
