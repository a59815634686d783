"""GovernanceService: agreements, consents, erasure by subject, export, holds, emergencies."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import TypeVar

from unseen import wire
from unseen.audit.leaf import Details
from unseen.errors import LimitExceeded, MalformedMessage
from unseen.governance.canonical import MOST_DOCUMENT_BYTES
from unseen.governance.consent import Consent
from unseen.governance.policy import DIGEST_BYTES
from unseen.v1 import governance_pb2, governance_pb2_grpc
from unseen_server import limits
from unseen_server.call import Call
from unseen_server.engine import Engine
from unseen_server.governance.assembly import Governance
from unseen_server.governance.consenting import Entry
from unseen_server.governance.emergencies import Grant
from unseen_server.governance.erasing import RequestId
from unseen_server.governance.holds import Hold
from unseen_server.governance.rights import HeldRow
from unseen_server.live_collection import LiveCollection
from unseen_server.services.policy_history import history_message, version_message
from unseen_server.workers import Workers

ITEMS_AT_ONCE = 32
"""Of a streamed answer in one message: consents have about 1 KiB and never above 22, certificates less."""

Item = TypeVar("Item")


class GovernanceService(governance_pb2_grpc.GovernanceServiceServicer):
    """Every method names a collection by uid; a mutation takes its turn with the collection's other changes."""

    def __init__(self, engine: Engine, governance: Governance, workers: Workers) -> None:
        self._engine = engine
        self._governance = governance
        self._workers = workers

    # Agreements

    async def SetPolicy(  # noqa: N802 - the contract's name
        self, request: governance_pb2.SetPolicyRequest, call: Call
    ) -> governance_pb2.SetPolicyResponse:
        """Put a policy in force."""
        live, request_id = self._for_change(call, request)
        data = _document(request.policy)
        receipt = await self._change(live, self._governance.agreements.set, live, call, request_id.own, data)
        call.notes.add(Details(document=hashlib.sha256(data).digest()))
        return governance_pb2.SetPolicyResponse(receipt=receipt)

    async def GetPolicy(  # noqa: N802
        self, request: governance_pb2.GetPolicyRequest, call: Call
    ) -> governance_pb2.GetPolicyResponse:
        """Show a version, or that none is in force."""
        uid = self._live(call, request.collection_uid).info.uid
        agreements = self._governance.agreements
        version = agreements.get(uid, request.version) if request.version else agreements.in_force(uid)
        return governance_pb2.GetPolicyResponse(policy=None if version is None else version_message(version))

    async def AcceptPolicy(  # noqa: N802
        self, request: governance_pb2.AcceptPolicyRequest, call: Call
    ) -> governance_pb2.AcceptPolicyResponse:
        """Write an acceptance down."""
        live, request_id = self._for_change(call, request)
        if len(request.policy_digest) != DIGEST_BYTES:
            raise MalformedMessage(f"a policy's digest has {len(request.policy_digest)} bytes, it needs {DIGEST_BYTES}")
        agreements = self._governance.agreements
        receipt = await self._change(live, agreements.accept, live, call, request_id.own, request.policy_digest)
        call.notes.add(Details(document=request.policy_digest))
        return governance_pb2.AcceptPolicyResponse(receipt=receipt)

    async def GetPolicyHistory(  # noqa: N802
        self, request: governance_pb2.GetPolicyHistoryRequest, call: Call
    ) -> governance_pb2.GetPolicyHistoryResponse:
        """Show every version, or a page of them."""
        live = self._live(call, request.collection_uid)
        versions, acceptances = self._governance.agreements.history(live.info.uid)
        return history_message(versions, acceptances, request.first_version, request.skipped_acceptances)

    # Consents

    async def RecordConsent(  # noqa: N802
        self, request: governance_pb2.RecordConsentRequest, call: Call
    ) -> governance_pb2.RecordConsentResponse:
        """Write a consent down."""
        live, request_id = self._for_change(call, request)
        data = _document(request.consent)
        receipt = await self._change(live, self._governance.consenting.record, live, request_id.own, data)
        consent = Consent.from_bytes(data)
        self._note_subject(call, consent.pii_principal_id)
        call.notes.add(Details(policy=str(consent.policy_version), document=consent.digest))
        return governance_pb2.RecordConsentResponse(receipt=receipt)

    async def WithdrawConsent(  # noqa: N802
        self, request: governance_pb2.WithdrawConsentRequest, call: Call
    ) -> governance_pb2.WithdrawConsentResponse:
        """End a consent."""
        live, request_id = self._for_change(call, request)
        record_id = wire.require_uid(request.record_id, "a consent's record id")
        done = await self._change(live, self._governance.consenting.withdraw, live, request_id.own, record_id)
        self._note_subject(call, done.subject)
        call.notes.add(Details(document=done.digest, rows=done.rows))
        return governance_pb2.WithdrawConsentResponse(receipt=done.receipt, epoch=done.epoch, consent=done.consent)

    async def ListConsents(  # noqa: N802
        self, request: governance_pb2.ListConsentsRequest, call: Call
    ) -> AsyncIterator[governance_pb2.ListConsentsResponse]:
        """Show consents."""
        live = self._live(call, request.collection_uid)
        subject = wire.require_uid(request.subject, "a subject") if request.subject else None
        if subject:
            self._note_subject(call, subject)
        async for some in self._in_pages(self._governance.consenting.list(live.info.uid, subject)):
            yield governance_pb2.ListConsentsResponse(consents=map(_consent, some))

    # Rights

    async def EraseSubject(  # noqa: N802
        self, request: governance_pb2.EraseSubjectRequest, call: Call
    ) -> governance_pb2.EraseSubjectResponse:
        """Destroy everything of a subject."""
        live, request_id = self._for_change(call, request)
        subject = wire.require_uid(request.subject, "a subject")
        self._note_subject(call, subject)
        erased = await self._change(live, self._governance.erasing.subject, live, request_id, subject)
        call.notes.add(Details(document=erased.digest, rows=erased.rows))
        return governance_pb2.EraseSubjectResponse(certificate=erased.certificate, epoch=erased.epoch)

    async def ExportSubject(  # noqa: N802
        self, request: governance_pb2.ExportSubjectRequest, call: Call
    ) -> AsyncIterator[governance_pb2.ExportSubjectResponse]:
        """Give everything of a subject."""
        live = self._live(call, request.collection_uid)
        uid = live.info.uid
        subject = wire.require_uid(request.subject, "a subject")
        self._note_subject(call, subject)
        rights = self._governance.rights
        versions = await self._workers.change(rights.versions_of, uid, subject)
        yield governance_pb2.ExportSubjectResponse(holds=[_hold(hold) for hold in rights.holds(uid, subject)])
        for version in versions:
            yield governance_pb2.ExportSubjectResponse(policies=[version_message(version)])
        consents = await self._workers.change(rights.consents_of, uid, subject)
        for start in range(0, len(consents), ITEMS_AT_ONCE):
            part = consents[start : start + ITEMS_AT_ONCE]
            yield governance_pb2.ExportSubjectResponse(consents=[_consent(entry) for entry in part])
        with self._workers.holding(limits.SYNCHRONISATION_BYTES):
            # One row a message: its record may have 64 KiB.
            async for rows in self._in_pages(rights.rows_of(live, subject), at_once=1):
                yield governance_pb2.ExportSubjectResponse(rows=map(_row, rows))

    async def ListCertificates(  # noqa: N802
        self, request: governance_pb2.ListCertificatesRequest, call: Call
    ) -> AsyncIterator[governance_pb2.ListCertificatesResponse]:
        """Show certificates."""
        live = self._live(call, request.collection_uid)
        async for some in self._in_pages(self._governance.erasing.certificates(live.info.uid)):
            yield governance_pb2.ListCertificatesResponse(certificates=some)

    async def SetHold(  # noqa: N802
        self, request: governance_pb2.SetHoldRequest, call: Call
    ) -> governance_pb2.SetHoldResponse:
        """Hold rows, or let go of them."""
        live, request_id = self._for_change(call, request)
        subject = wire.require_uid(request.subject, "a subject") if request.subject else b""
        hold = self._governance.rights.hold
        done = await self._change(live, hold, live, call, request_id.own, subject, request.reason_code, request.lift)
        if subject:
            self._note_subject(call, subject)
        return governance_pb2.SetHoldResponse(hold=_hold(done))

    async def ListHolds(  # noqa: N802
        self, request: governance_pb2.ListHoldsRequest, call: Call
    ) -> governance_pb2.ListHoldsResponse:
        """Show holds."""
        live = self._live(call, request.collection_uid)
        return governance_pb2.ListHoldsResponse(holds=map(_hold, self._governance.rights.holds(live.info.uid)))

    async def BreakGlass(  # noqa: N802
        self, request: governance_pb2.BreakGlassRequest, call: Call
    ) -> governance_pb2.BreakGlassResponse:
        """Let somebody in, or no more."""
        live, request_id = self._for_change(call, request)
        rights = self._governance.rights
        if request.end:
            grant = await self._change(live, rights.end_emergency, live, call, request_id.own, request.grantee)
        else:
            details = (request.grantee, request.reason_code, request.seconds)
            grant = await self._change(live, rights.break_glass, live, call, request_id.own, *details)
        return governance_pb2.BreakGlassResponse(grant=self._grant(grant))

    async def ListBreakGlass(  # noqa: N802
        self, request: governance_pb2.ListBreakGlassRequest, call: Call
    ) -> governance_pb2.ListBreakGlassResponse:
        """Show who was let in."""
        live = self._live(call, request.collection_uid)
        grants = self._governance.rights.emergencies(live.info.uid)
        return governance_pb2.ListBreakGlassResponse(grants=map(self._grant, grants))

    # Shared steps

    def _live(self, call: Call, uid: bytes) -> LiveCollection:
        return self._engine.by_uid(call.caller, wire.require_uid(uid, "a collection's uid"))

    def _for_change(self, call: Call, request: _Change) -> tuple[LiveCollection, RequestId]:
        request_id = RequestId.of(call, wire.require_uid(request.request_id, "a request id"))
        return self._live(call, request.collection_uid), request_id

    def _note_subject(self, call: Call, subject: bytes) -> None:
        """For the audit log: a keyed hash of the pseudonym, which is looked up by whoever has that."""
        call.notes.add(Details(subject=self._governance.office.audit.subject_hash(subject.hex())))

    async def _change(self, live: LiveCollection, work: Callable[..., Item], *args: object) -> Item:
        return await self._workers.change_in_turn((live.info.uid,), work, *args)

    async def _in_pages(self, items: Iterator[Item], at_once: int = ITEMS_AT_ONCE) -> AsyncIterator[list[Item]]:
        """A page at a time, each read in a thread; nothing is read ahead of the caller."""
        while page := await self._workers.change(lambda: list(islice(items, at_once))):
            yield page

    def _grant(self, grant: Grant) -> governance_pb2.EmergencyGrant:
        return governance_pb2.EmergencyGrant(
            grantee=grant.grantee,
            reason_code=grant.reason_code,
            granted_by=grant.granted_by,
            granted_at=grant.granted_at,
            ends_at=grant.ends_at,
            active=grant.is_active(self._governance.office.clock.now_or_last()),
            searches=grant.searches,
        )


_Change = (
    governance_pb2.SetPolicyRequest
    | governance_pb2.AcceptPolicyRequest
    | governance_pb2.RecordConsentRequest
    | governance_pb2.WithdrawConsentRequest
    | governance_pb2.EraseSubjectRequest
    | governance_pb2.SetHoldRequest
    | governance_pb2.BreakGlassRequest
)


def _document(data: bytes) -> bytes:
    if not 1 <= len(data) <= MOST_DOCUMENT_BYTES:
        raise LimitExceeded(f"got a document of {len(data)} bytes, expected 1 to {MOST_DOCUMENT_BYTES}")
    return data


def _consent(entry: Entry) -> governance_pb2.ConsentEntry:
    return governance_pb2.ConsentEntry(consent=entry.consent, state=str(entry.state), ended_at=entry.ended_at)


def _row(row: HeldRow) -> governance_pb2.SubjectRow:
    return governance_pb2.SubjectRow(
        entry=wire.entry_to_message(row.entry),
        record_id=row.record_id,
        purposes=sorted(row.purposes),
        withheld=row.withheld,
    )


def _hold(hold: Hold) -> governance_pb2.Hold:
    return governance_pb2.Hold(
        subject=hold.subject,
        reason_code=hold.reason_code,
        set_by=hold.set_by,
        set_at=hold.set_at,
        lifted_at=hold.lifted_at,
    )
