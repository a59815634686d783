"""Letting rows in and queries through: what the agreement, the consents and the time allow.

enrolment   accepted this version? -> purposes it has? -> a valid consent for each row? -> its compartment
query       a purpose it has, or an emergency? -> what has ended is withheld first -> compartments that allow it
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.audit.leaf import Details
from unseen.entropy import random_uid
from unseen.errors import ConsentNotValid, InvalidInput, PolicyNotAccepted, PurposeNotAllowed
from unseen.governance.terms import EMERGENCY, ConsentState
from unseen.store.interface import Change
from unseen.types import RowBatch
from unseen_server import limits
from unseen_server.call import Call
from unseen_server.governance import facts as kinds
from unseen_server.governance.agreements import require_current
from unseen_server.governance.compartments import Compartment
from unseen_server.governance.endings import Ending
from unseen_server.governance.office import Office
from unseen_server.governance.registry import Registry
from unseen_server.governance.terms import Mark, Terms
from unseen_server.live_collection import Compartments, LiveCollection

EVERY_ROW = 1 << 62


@dataclass(frozen=True)
class Stated:
    """What an enrolment says of its rows: the version that was accepted, and what they may be searched for."""

    policy_digest: bytes
    purposes: frozenset[str]


class Admission:
    """Called in threads."""

    def __init__(self, office: Office, registry: Registry) -> None:
        self._office = office
        self._registry = registry

    # Rows

    def enrol(self, live: LiveCollection, call: Call, request_id: bytes, stated: Stated, batch: RowBatch) -> Change:
        """Add rows as the agreement allows it; as ever where there is none."""
        terms = self._registry.of(live.info.uid)
        if terms is None:
            _require_nothing_stated(stated, batch)
            return live.enrol(request_id, batch)
        with live.changing():
            if self._office.store.knows_request(request_id):  # answered again or refused, by the store
                version = next((one for one in terms.versions if one.policy.digest == stated.policy_digest), None)
                number = Compartment(0 if version is None else version.policy.version, stated.purposes)
                return live.enrol(request_id, batch, terms.compartments.require_number_of(number))
            call.notes.add(Details(policy=str(terms.policy.version)))
            self._require_allowed(terms, call, stated, batch)
            call.notes.add(Details(purpose=",".join(sorted(stated.purposes))))
            compartment = self._compartment(terms, Compartment(terms.policy.version, stated.purposes))
            self._mark(terms, live.info.epoch + 1)
            return live.enrol(request_id, batch, compartment)

    def _require_allowed(self, terms: Terms, call: Call, stated: Stated, batch: RowBatch) -> None:
        if terms.accepted_by(call.caller.name) < terms.policy.version:
            raise PolicyNotAccepted(
                f"this collection has an agreement, version {terms.policy.version}, that {call.caller.name!r} has not "
                "accepted; `unseen policy show` it, then `unseen policy accept` it"
            )
        require_current(terms, stated.policy_digest)
        if not stated.purposes or not stated.purposes <= terms.policy.purpose_ids:
            raise PurposeNotAllowed(f"rows are enrolled for one or more of {_listed(terms.policy.purpose_ids)}")
        consents = batch.consents or (b"",) * len(batch.row_ids)
        if terms.policy.lawful_basis.is_consent and not all(consents):
            raise ConsentNotValid(
                f"this collection rests on consent, and {consents.count(b'')} rows come without; nothing was enrolled"
            )
        now = self._office.clock.now()
        for record_id in set(consents) - {b""}:
            terms.consents.require_valid(record_id, stated.purposes, now)

    def _compartment(self, terms: Terms, compartment: Compartment) -> int:
        number = terms.compartments.number_of(compartment)
        if number is None:
            number = terms.compartments.next_number()
            content = {
                "number": number,
                "version": compartment.policy_version,
                "purposes": sorted(compartment.purposes),
            }
            self._office.facts.append(kinds.COMPARTMENT, terms.uid, content)
            terms.compartments.add(number, compartment)
        return number

    def _mark(self, terms: Terms, epoch: int) -> None:
        """Write down when rows are enrolled, once in a while: what the end of their retention counts from."""
        now, version = self._office.clock.now(), terms.policy.version
        last = terms.marks[-1] if terms.marks else None
        if last and last.epoch < epoch and last.version == version and now < last.at + limits.ENROLMENT_MARK_S:
            return
        self._office.facts.append(kinds.ENROLLED, terms.uid, {"epoch": epoch, "at": now, "version": version})
        terms.add_mark(Mark(epoch, now, version))
        if any(one.policy.retention_s for one in terms.versions):
            terms.compute_endings()

    # Queries

    def compartments(self, live: LiveCollection, call: Call, purpose: str) -> Compartments | None:
        """What a query for a purpose may score, to be asked when its scan begins; None for everything.

        PurposeNotAllowed when the agreement has no such purpose, or no emergency was declared. The query of a
        collection without an agreement states none.
        """
        terms = self._registry.of(live.info.uid)
        if terms is None:
            if purpose:
                raise PurposeNotAllowed("this collection has no agreement, so no purpose can be stated; leave it out")
            return None
        call.notes.add(Details(policy=str(terms.policy.version)))
        if purpose == EMERGENCY:
            terms.emergencies.require(call.caller.name, self._office.clock.now())
        else:
            _require_purpose(terms, purpose)
        call.notes.add(Details(purpose=purpose))

        def when_the_scan_begins() -> frozenset[int]:
            now = self._office.clock.now()
            self.end_what_is_due(live, terms, now)
            if purpose != EMERGENCY:
                _require_purpose(terms, purpose)
                return terms.compartments.allowing(purpose)
            self._note_emergency_search(live, terms, call, now)
            return terms.compartments.every()

        return when_the_scan_begins

    def _note_emergency_search(self, live: LiveCollection, terms: Terms, call: Call, now: int) -> None:
        with live.changing():
            grant = terms.emergencies.require(call.caller.name, now)
            content = {"event": "searched", "uid": grant.uid.hex(), "at": now}
            terms.read_emergency(self._office.facts.append(kinds.BREAK_GLASS, terms.uid, content))

    # What has ended

    def end_what_is_due(self, live: LiveCollection, terms: Terms, now: int) -> None:
        """Withhold the rows of every consent and every span of enrolment that has ended by now."""
        if now < terms.endings.next_at:
            return
        with live.changing():
            due = terms.endings.due(now)
            for ending in due:
                if ending.record_id:
                    self._end_consent(terms, ending)
            rows = self.withhold(live, terms, [row for ending in due for row in self._rows_of(live, ending)])
            terms.endings.done(now)
            if rows:
                self._office.note(live.tenant, "RowsWithheld", Details(collection=terms.uid, rows=rows))

    def _end_consent(self, terms: Terms, ending: Ending) -> None:
        standing = terms.consents.get(ending.record_id)
        if standing.state.is_valid:
            content = {"record_id": ending.record_id.hex(), "state": str(ConsentState.EXPIRED), "at": ending.at}
            self._office.facts.append(kinds.CONSENT_END, terms.uid + standing.subject, content)
            terms.consents.end(ending.record_id, ConsentState.EXPIRED, ending.at)

    def _rows_of(self, live: LiveCollection, ending: Ending) -> list[bytes]:
        uid, store = live.info.uid, self._office.store
        if ending.record_id:
            return [row.row_id for row in store.rows_resting_on(uid, ending.record_id) if not row.withheld]
        if ending.first_epoch > live.info.epoch:
            return []
        pages = store.changes(uid, ending.first_epoch - 1, ending.end_epoch - 1, limits.CATALOGUE_PAGE_BYTES, EVERY_ROW)
        return [entry.row_id for page in pages for entry in page.added]

    def withhold(self, live: LiveCollection, terms: Terms, row_ids: list[bytes]) -> int:
        """Take rows out of every search and mirror; how many, each counted once."""
        once = tuple(dict.fromkeys(row_ids))
        if once:
            live.withhold(random_uid(), once)
            terms.has_withheld = True
        return len(once)

    def finish_interrupted(self, live: LiveCollection, terms: Terms) -> None:
        """After a stop in the middle: withhold what still rests on a consent that has ended."""
        with live.changing():
            ended = [Ending(0, record_id) for record_id in terms.consents.ended()]
            self.withhold(live, terms, [row for ending in ended for row in self._rows_of(live, ending)])


def _require_purpose(terms: Terms, purpose: str) -> None:
    if purpose not in terms.policy.purpose_ids:
        raise PurposeNotAllowed(
            f"this collection is searched for one of {_listed(terms.policy.purpose_ids)}; state which with purpose=, "
            "or --purpose on the command line"
        )


def _require_nothing_stated(stated: Stated, batch: RowBatch) -> None:
    if stated.policy_digest or stated.purposes or batch.consents:
        raise InvalidInput(
            "this collection has no agreement, so there is nothing that a purpose or a consent could count for; leave "
            "them out, or have a steward set a policy first"
        )


def _listed(purposes: frozenset[str]) -> str:
    return ", ".join(sorted(purposes))
