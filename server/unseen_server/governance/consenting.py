"""Recording, showing and withdrawing consents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unseen.errors import AlreadyExists, ConsentNotFound, ConsentNotValid, InvalidDocument, LimitExceeded
from unseen.governance.canonical import canonical_bytes
from unseen.governance.certificate import Act, Receipt
from unseen.governance.consent import Consent
from unseen.governance.moments import DAY_S
from unseen.governance.terms import ConsentState
from unseen_server import limits
from unseen_server.governance import facts as kinds
from unseen_server.governance.admission import Admission
from unseen_server.governance.office import Office
from unseen_server.governance.registry import Registry
from unseen_server.governance.terms import Terms
from unseen_server.live_collection import LiveCollection

CLOCK_LEEWAY_S = DAY_S
"""How far ahead of ours the clock of a device may be that took a consent."""


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did."""

    receipt: bytes
    epoch: int
    consent: bytes
    """As it was recorded."""
    subject: bytes
    digest: bytes
    """Of the consent."""
    rows: int
    """Rows that it withheld, so that are found no more."""


@dataclass(frozen=True)
class Entry:
    """A consent as it was recorded, and what became of it."""

    consent: bytes
    state: ConsentState
    ended_at: int


class Consenting:
    """Called in threads; one change of a collection at a time."""

    def __init__(self, office: Office, registry: Registry, admission: Admission) -> None:
        self._office = office
        self._registry = registry
        self._admission = admission

    def record(self, live: LiveCollection, request_id: bytes, data: bytes) -> bytes:
        """Write a consent down; gives the receipt. InvalidDocument when it does not fit the agreement in force."""
        consent = Consent.from_bytes(data)
        key = live.info.uid + consent.pii_principal_id
        with live.changing():
            terms = self._registry.require(live.info.uid)
            same = {"consent": consent.to_document()}
            if earlier := self._office.facts.earlier(kinds.CONSENT, key, request_id, same):
                return str(earlier["receipt"]).encode()
            now = self._office.clock.now()
            _require_recordable(terms, consent, now)
            receipt = self._office.receipt(Act.CONSENT_RECORDED, live.info.uid, consent.digest, now)
            self._office.facts.append(kinds.CONSENT, key, {**same, "receipt": receipt, "at": now}, request_id)
            terms.consents.add(consent)
            terms.compute_endings()
            return receipt.encode()

    def withdraw(self, live: LiveCollection, request_id: bytes, record_id: bytes) -> Withdrawal:
        """End a consent: when this returns, no row that rests on it is scored or mirrored any more.

        ConsentNotFound when there is none; one that has ended already is answered with what ended it.
        """
        uid = live.info.uid
        with live.changing():
            terms = self._registry.require(uid)
            standing = terms.consents.get(record_id)
            key = uid + standing.subject
            same = {"record_id": record_id.hex(), "state": str(ConsentState.WITHDRAWN)}
            consent = self._recorded(uid, standing.subject, record_id)
            earlier = self._office.facts.earlier(kinds.CONSENT_END, key, request_id, same)
            if earlier is None:
                self._require_not_withdrawn(standing.state)
                now = self._office.clock.now()
                rows = [row.row_id for row in self._office.store.rows_resting_on(uid, record_id) if not row.withheld]
                receipt = self._office.receipt(Act.CONSENT_WITHDRAWN, uid, consent.digest, now, len(rows))
                earlier = self._office.facts.append(
                    kinds.CONSENT_END, key, {**same, "at": now, "receipt": receipt}, request_id
                )
                terms.consents.end(record_id, ConsentState.WITHDRAWN, now)
                self._admission.withhold(live, terms, rows)
            receipt_text = str(earlier["receipt"])
            rows_withheld = Receipt.from_signed(receipt_text.encode())[0].rows
            return Withdrawal(
                receipt_text.encode(),
                live.info.epoch,
                consent.to_bytes(),
                standing.subject,
                consent.digest,
                rows_withheld,
            )

    def list(self, uid: bytes, subject: bytes | None) -> Iterator[Entry]:
        """Every consent of a collection, or of one subject, in the order in which they came."""
        terms = self._registry.require(uid)
        for note in self._office.facts.all(kinds.CONSENT, None if subject is None else uid + subject):
            if note.key.startswith(uid):
                record_id = bytes.fromhex(note.content["consent"]["record_id"])
                if terms.consents.has(record_id):  # else it was erased while we read
                    standing = terms.consents.get(record_id)
                    yield Entry(canonical_bytes(note.content["consent"]), standing.state, standing.ended_at)

    def _recorded(self, uid: bytes, subject: bytes, record_id: bytes) -> Consent:
        for note in self._office.facts.all(kinds.CONSENT, uid + subject):
            if note.content["consent"]["record_id"] == record_id.hex():
                return Consent.from_document(note.content["consent"])
        raise ConsentNotFound(f"no consent has record id {record_id.hex()}")

    def _require_not_withdrawn(self, state: ConsentState) -> None:
        if state is ConsentState.WITHDRAWN:
            raise ConsentNotValid("this consent was withdrawn before; its rows have not been found since")


def _require_recordable(terms: Terms, consent: Consent, now: int) -> None:
    consent.require_fits(terms.policy)
    if terms.consents.has(consent.record_id):
        raise AlreadyExists("a consent has this record id already; draw 16 new random bytes")
    if len(terms.consents) >= limits.MAX_CONSENTS:
        raise LimitExceeded(f"a collection has at most {limits.MAX_CONSENTS} consents")
    if consent.event_time > now + CLOCK_LEEWAY_S:
        raise InvalidDocument("a consent was given later than it is now by the server's clock; set the device's clock")
    if consent.valid_until is not None and consent.valid_until <= now:
        raise ConsentNotValid("this consent has ended already by the server's clock; nothing was recorded")
