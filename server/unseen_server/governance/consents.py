"""The consents of one collection, as enforcement needs them: whose, for what, until when, whether they stand.

Held by the server: pseudonyms, purposes, times. The records themselves stay in the store and are read when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.errors import ConsentNotFound, ConsentNotValid
from unseen.governance.consent import Consent
from unseen.governance.terms import ConsentState


@dataclass(slots=True)
class Standing:
    """One consent and what became of it."""

    subject: bytes
    purposes: frozenset[str]
    valid_until: int | None
    state: ConsentState
    ended_at: int = 0


class Consents:
    """By record id and by subject. Not safe for threads: the collection's lock is around it."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, Standing] = {}
        self._of_subject: dict[bytes, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, consent: Consent) -> None:
        """A consent that was written down."""
        standing = Standing(consent.pii_principal_id, consent.purposes, consent.valid_until, consent.initial_state)
        self._by_id[consent.record_id] = standing
        self._of_subject.setdefault(consent.pii_principal_id, []).append(consent.record_id)

    def end(self, record_id: bytes, state: ConsentState, at: int) -> None:
        """It was withdrawn or had an end: that is for good."""
        standing = self.get(record_id)
        standing.state, standing.ended_at = state, at

    def forget(self, subject: bytes) -> None:
        """Drop all of a subject's."""
        for record_id in self._of_subject.pop(subject, ()):
            del self._by_id[record_id]

    def has(self, record_id: bytes) -> bool:
        """Whether there is one with this id, whatever became of it."""
        return record_id in self._by_id

    def get(self, record_id: bytes) -> Standing:
        """One of them; ConsentNotFound."""
        try:
            return self._by_id[record_id]
        except KeyError:
            raise ConsentNotFound(
                f"no consent has record id {record_id.hex()}; it was never recorded here, or erased with its subject"
            ) from None

    def of_subject(self, subject: bytes) -> tuple[bytes, ...]:
        """Record ids of a subject's consents, in the order in which they came."""
        return tuple(self._of_subject.get(subject, ()))

    def subjects(self) -> tuple[bytes, ...]:
        """Every subject with a consent here."""
        return tuple(self._of_subject)

    def standing(self) -> list[tuple[int, bytes]]:
        """When each consent that stands and has an end will end, and its id."""
        return [
            (one.valid_until, record_id)
            for record_id, one in self._by_id.items()
            if one.valid_until is not None and one.state.is_valid
        ]

    def ended(self) -> list[bytes]:
        """Ids of those that do not stand any more."""
        return [record_id for record_id, one in self._by_id.items() if not one.state.is_valid]

    def require_valid(self, record_id: bytes, purposes: frozenset[str], now: int) -> None:
        """ConsentNotValid unless rows for these purposes may rest on it now."""
        one = self.get(record_id)
        if not one.state.is_valid or (one.valid_until is not None and now >= one.valid_until):
            raise ConsentNotValid(
                f"consent {record_id.hex()} was withdrawn or has ended; nothing was enrolled. Record a new one first"
            )
        if missing := purposes - one.purposes:
            raise ConsentNotValid(
                f"consent {record_id.hex()} does not cover {len(missing)} of the purposes asked for: "
                f"{', '.join(sorted(missing))}; nothing was enrolled"
            )
