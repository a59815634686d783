"""Break-glass of one collection: somebody was let in without a purpose, for a reason, for a limited time.

Nothing of it is silent: opening, every search under it and its end are written down before they are answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from unseen.errors import LimitExceeded, PurposeNotAllowed
from unseen_server import limits


@dataclass(frozen=True)
class Grant:
    """Somebody is or was let in."""

    uid: bytes
    grantee: str
    reason_code: str
    granted_by: str
    granted_at: int
    ends_at: int
    searches: int = 0

    def is_active(self, now: int) -> bool:
        return now < self.ends_at


class Emergencies:
    """Not safe for threads: the collection's lock is around it."""

    def __init__(self) -> None:
        self._grants: dict[bytes, Grant] = {}

    def all(self) -> tuple[Grant, ...]:
        """Every grant, oldest first."""
        return tuple(self._grants.values())

    def require_room(self) -> None:
        """LimitExceeded when there are too many."""
        if len(self._grants) >= limits.MAX_EMERGENCIES:
            raise LimitExceeded(f"a collection keeps at most {limits.MAX_EMERGENCIES} emergency grants")

    def add(self, grant: Grant) -> Grant:
        """One that was written down."""
        self._grants[grant.uid] = grant
        return grant

    def end(self, uid: bytes, at: int) -> Grant:
        """That it was ended before its time."""
        return self.add(replace(self._grants[uid], ends_at=at))

    def count_search(self, uid: bytes) -> Grant:
        """That a search was made under it."""
        return self.add(replace(self._grants[uid], searches=self._grants[uid].searches + 1))

    def active(self, grantee: str, now: int) -> Grant | None:
        """What lets somebody in now, None when nothing does."""
        return next((one for one in self._grants.values() if one.grantee == grantee and one.is_active(now)), None)

    def require(self, grantee: str, now: int) -> Grant:
        """The same; PurposeNotAllowed when nothing does."""
        found = self.active(grantee, now)
        if found is None:
            raise PurposeNotAllowed(
                "an emergency has to be declared before it is a purpose: `unseen emergency open` with a reason code, "
                "where the collection's policy allows it"
            )
        return found
