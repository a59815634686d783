"""What may be asked for beside erasure: all that is held about a subject, holds, and being let in in an emergency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unseen.errors import InvalidInput, NotPermitted, PolicyRefused
from unseen.governance.terms import REASON_CODE
from unseen.store.requests import another_request
from unseen.types import CatalogueEntry
from unseen_server.access.names import require_name
from unseen_server.call import Call, Role
from unseen_server.governance import facts as kinds
from unseen_server.governance.consenting import Consenting, Entry
from unseen_server.governance.emergencies import Grant
from unseen_server.governance.holds import Hold
from unseen_server.governance.office import Office
from unseen_server.governance.registry import Registry
from unseen_server.governance.terms import Terms, Version
from unseen_server.live_collection import LiveCollection

HOUR_S = 3600
ROWS_AT_ONCE = 64
"""Entries read together for an export; each has a record of up to 64 KiB."""


@dataclass(frozen=True)
class HeldRow:
    """A row of a data subject."""

    entry: CatalogueEntry
    record_id: bytes
    purposes: frozenset[str]
    withheld: bool


class Rights:
    """Called in threads; one change of a collection at a time."""

    def __init__(self, office: Office, registry: Registry, consenting: Consenting) -> None:
        self._office = office
        self._registry = registry
        self._consenting = consenting

    # Access

    def consents_of(self, uid: bytes, subject: bytes) -> list[Entry]:
        """A subject's consents."""
        return list(self._consenting.list(uid, subject))

    def versions_of(self, uid: bytes, subject: bytes) -> list[Version]:
        """Every version of the policy that a subject's consents or rows name."""
        terms = self._registry.require(uid)
        notes = self._office.facts.all(kinds.CONSENT, uid + subject)
        named = {note.content["consent"]["policy_version"] for note in notes} | set(terms.compartments.versions())
        return [terms.version(number) for number in sorted(named)]

    def rows_of(self, live: LiveCollection, subject: bytes) -> Iterator[HeldRow]:
        """Every row that rests on one of a subject's consents, withheld ones too."""
        uid, store = live.info.uid, self._office.store
        terms = self._registry.require(uid)
        for record_id in terms.consents.of_subject(subject):
            placed = store.rows_resting_on(uid, record_id)
            for start in range(0, len(placed), ROWS_AT_ONCE):
                part = placed[start : start + ROWS_AT_ONCE]
                entries = store.entries(uid, tuple(row.row_id for row in part))
                for row, entry in zip(part, entries, strict=True):
                    purposes = terms.compartments.purposes(live.compartment_of(row.slot))
                    yield HeldRow(entry, record_id, purposes, row.withheld)

    # Holds

    def hold(
        self, live: LiveCollection, call: Call, request_id: bytes, subject: bytes, reason_code: str, lift: bool
    ) -> Hold:
        """Set a hold, or lift the one of this reason code."""
        require_reason(reason_code)
        uid = live.info.uid
        with live.changing():
            terms = self._registry.require(uid)
            event = "lifted" if lift else "set"
            same = {"event": event, "reason_code": reason_code, "subject": subject.hex()}
            if self._office.facts.earlier(kinds.HOLD, uid, request_id, same):
                return next(hold for hold in reversed(terms.holds.all()) if hold.reason_code == reason_code)
            if lift:
                terms.holds.require(reason_code)
                terms.has_withheld = True  # for the retention job: what was held may go now
            else:
                terms.holds.require_new(reason_code)
            content = {**same, "by": call.caller.name, "at": self._office.clock.now()}
            return terms.read_hold(self._office.facts.append(kinds.HOLD, uid, content, request_id))

    def holds(self, uid: bytes, subject: bytes | None = None) -> tuple[Hold, ...]:
        """Every hold, or those that keep a subject's rows now."""
        terms = self._registry.require(uid)
        return terms.holds.all() if subject is None else terms.holds.covering(subject)

    # Emergencies

    def break_glass(
        self, live: LiveCollection, call: Call, request_id: bytes, grantee: str, reason_code: str, seconds: int
    ) -> Grant:
        """Let somebody in for a limited time; PolicyRefused where the agreement does not provide for it."""
        require_reason(reason_code)
        uid = live.info.uid
        with live.changing():
            terms = self._registry.require(uid)
            grantee = grantee or call.caller.name
            same = {"event": "opened", "uid": request_id.hex(), "grantee": grantee, "reason_code": reason_code}
            if earlier := self._office.facts.earlier(kinds.BREAK_GLASS, uid, request_id, same):
                if earlier["ends_at"] - earlier["at"] != seconds:
                    raise another_request()
                return next(grant for grant in terms.emergencies.all() if grant.uid == request_id)
            _require_provided_for(terms, call, grantee, seconds)
            terms.emergencies.require_room()
            now = self._office.clock.now()
            content = {**same, "by": call.caller.name, "at": now, "ends_at": now + seconds}
            return terms.read_emergency(self._office.facts.append(kinds.BREAK_GLASS, uid, content, request_id))

    def end_emergency(self, live: LiveCollection, call: Call, request_id: bytes, grantee: str) -> Grant:
        """Let somebody in no more."""
        uid = live.info.uid
        with live.changing():
            terms = self._registry.require(uid)
            grantee = grantee or call.caller.name
            _require_own_or_steward(call, grantee)
            same = {"event": "ended", "grantee": grantee}
            if earlier := self._office.facts.earlier(kinds.BREAK_GLASS, uid, request_id, same):
                return next(grant for grant in terms.emergencies.all() if grant.uid.hex() == earlier["uid"])
            now = self._office.clock.now()
            grant = terms.emergencies.require(grantee, now)
            content = {**same, "uid": grant.uid.hex(), "by": call.caller.name, "at": now}
            return terms.read_emergency(self._office.facts.append(kinds.BREAK_GLASS, uid, content, request_id))

    def emergencies(self, uid: bytes) -> tuple[Grant, ...]:
        """Every grant, ended ones too."""
        return self._registry.require(uid).emergencies.all()


def require_reason(reason_code: str) -> None:
    """InvalidInput for anything but a file number: prose could name somebody, and it stands in logs."""
    if not REASON_CODE.fullmatch(reason_code):
        raise InvalidInput('a reason code is 1 to 64 letters, digits and "._/-", such as a file number')


def _require_provided_for(terms: Terms, call: Call, grantee: str, seconds: int) -> None:
    emergency = terms.policy.emergency
    if emergency is None:
        raise PolicyRefused("this collection's agreement provides for no emergency access; nobody can be let in")
    if not 0 < seconds <= emergency.most_hours * HOUR_S:
        raise InvalidInput(
            f"got {seconds} seconds of emergency access, the agreement allows 1 to {emergency.most_hours * HOUR_S}"
        )
    require_name(grantee)
    _require_own_or_steward(call, grantee)


def _require_own_or_steward(call: Call, grantee: str) -> None:
    if grantee != call.caller.name and Role.STEWARD not in call.caller.roles:
        raise NotPermitted("only a steward opens or ends an emergency for somebody else; anybody may for themselves")
