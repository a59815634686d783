"""Legal holds of one collection: rows that must be kept, whatever ends or is asked for, until the hold is lifted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from unseen.errors import AlreadyExists, LimitExceeded, NotFound, OnLegalHold
from unseen_server import limits


@dataclass(frozen=True)
class Hold:
    """One hold, standing or lifted."""

    reason_code: str
    subject: bytes
    """Whose rows; empty for every row of the collection."""
    set_by: str
    set_at: int
    lifted_at: int = 0


class Holds:
    """By reason code. Not safe for threads: the collection's lock is around it."""

    def __init__(self) -> None:
        self._holds: list[Hold] = []

    def all(self) -> tuple[Hold, ...]:
        """Every hold, oldest first."""
        return tuple(self._holds)

    def standing(self) -> tuple[Hold, ...]:
        """Those that were not lifted."""
        return tuple(hold for hold in self._holds if not hold.lifted_at)

    def covering(self, subject: bytes) -> tuple[Hold, ...]:
        """Those that keep a subject's rows."""
        return tuple(hold for hold in self.standing() if hold.subject in (b"", subject))

    def require_new(self, reason_code: str) -> None:
        """AlreadyExists when one of this code stands, LimitExceeded when there are too many."""
        if self.find(reason_code) is not None:
            raise AlreadyExists(f"a hold of reason code {reason_code} stands already; lift that one or choose another")
        if len(self._holds) >= limits.MAX_HOLDS:
            raise LimitExceeded(f"a collection has at most {limits.MAX_HOLDS} holds over its life")

    def require(self, reason_code: str) -> Hold:
        """The standing hold of this code; NotFound when there is none."""
        found = self.find(reason_code)
        if found is None:
            raise NotFound(f"no hold of reason code {reason_code} stands; `unseen hold list` shows those that do")
        return found

    def find(self, reason_code: str) -> Hold | None:
        return next((hold for hold in self.standing() if hold.reason_code == reason_code), None)

    def add(self, hold: Hold) -> Hold:
        """One that was written down."""
        self._holds.append(hold)
        return hold

    def lift(self, reason_code: str, at: int) -> Hold:
        """That it was lifted."""
        hold = self.require(reason_code)
        lifted = replace(hold, lifted_at=at)
        self._holds[self._holds.index(hold)] = lifted
        return lifted

    def require_none(self, subject: bytes | None = None) -> None:
        """OnLegalHold when a hold keeps every row, or this subject's."""
        for hold in self.standing():
            if hold.subject in (b"", subject):
                raise refused(hold)


def refused(hold: Hold) -> OnLegalHold:
    """The refusal that names a hold."""
    return OnLegalHold(
        f"a legal hold of reason code {hold.reason_code} keeps these rows: nothing was erased. They are not found any "
        "more once their consent is withdrawn; lift the hold to have them erased"
    )
