"""A data subject's rights and their limits: erasure, export, legal holds; and being let in in an emergency.

The server learns pseudonyms and reason codes. Records of an export are opened on this device.
"""

from __future__ import annotations

from unseen import wire
from unseen.entropy import random_uid
from unseen.errors import MalformedMessage, Mismatch, PolicyNotFound
from unseen.governance.certificate import Asked, ErasureCertificate
from unseen.governance.fields import require_plain
from unseen.governance.policy import Policy
from unseen.governance.processing_record import Activity
from unseen.governance.subject import pseudonym
from unseen.types import UID_BYTES
from unseen.v1 import governance_pb2
from unseen_client import rpcs
from unseen_client.agreements import require_signed_by
from unseen_client.flows import collections, policies
from unseen_client.flows.consents import status_from
from unseen_client.flows.sync import Place, open_current, open_place, sync
from unseen_client.governed import Emergency, Erasure, Hold, SubjectExport, SubjectRow
from unseen_client.retry import ask, ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local
from unseen_client.streams import Collected

# Erasure


def erase_subject(session: Session, name: str, subject: str) -> Flow[Erasure]:
    """Erase every row and every consent of a subject, here and on the server."""
    place = yield from open_current(session, name)
    about = pseudonym(place.key.record_key, subject)
    request = governance_pb2.EraseSubjectRequest(
        request_id=random_uid(), collection_uid=place.collection.uid, subject=about
    )
    reply = yield from ask_one(session.patience, rpcs.ERASE_SUBJECT, [request], governance_pb2.EraseSubjectResponse)
    erasure = yield from checked(session, place, reply.certificate, request.request_id, Asked.SUBJECT)
    if erasure.certificate.subject != about:
        raise Mismatch("the server's certificate is about another subject; do not trust it")
    yield from sync(session, place, wire.require_epoch(reply.epoch, "an erasure"))
    return erasure


def checked(session: Session, place: Place, data: bytes, request_id: bytes, asked: Asked) -> Flow[Erasure]:
    """A certificate for this very request, signed by the server as this device knows it, and kept on this device."""
    certificate, signed = ErasureCertificate.from_signed(data)
    keys = yield from policies.signing_keys(session)
    require_signed_by(keys, signed.public_key, "an erasure certificate")
    got = (certificate.request_id, certificate.collection_uid, certificate.asked)
    if got != (request_id, place.collection.uid, asked):
        raise Mismatch("the server's certificate is for another request than this one; do not trust it")
    yield from local(lambda: session.agreements.keep_certificate(place.collection.uid, request_id, data))
    return Erasure(certificate, data)


def certificates(session: Session, name: str) -> Flow[list[Erasure]]:
    """Every certificate of a collection, the server's own erasures included; each one verified."""
    collection = yield from collections.get(session, name)
    request = governance_pb2.ListCertificatesRequest(collection_uid=collection.uid)
    reply = yield from ask(
        session.patience,
        rpcs.LIST_CERTIFICATES,
        [request],
        lambda: Collected(governance_pb2.ListCertificatesResponse),
    )
    keys = yield from policies.signing_keys(session)
    found = []
    for data in (data for page in reply.messages for data in page.certificates):
        certificate, signed = ErasureCertificate.from_signed(data)
        require_signed_by(keys, signed.public_key, "an erasure certificate")
        if certificate.collection_uid != collection.uid:
            raise Mismatch("the server shows certificates of another collection; it does not fit this client")
        found.append(Erasure(certificate, data))
    return found


# Access


def export_subject(session: Session, name: str, subject: str) -> Flow[SubjectExport]:
    """Everything held about a subject, with records opened here."""
    place = yield from open_current(session, name)
    about = pseudonym(place.key.record_key, subject)
    request = governance_pb2.ExportSubjectRequest(collection_uid=place.collection.uid, subject=about)
    reply = yield from ask(
        session.patience, rpcs.EXPORT_SUBJECT, [request], lambda: Collected(governance_pb2.ExportSubjectResponse)
    )
    pages = reply.messages

    def opened() -> tuple[SubjectRow, ...]:
        return tuple(_row(place, row) for page in pages for row in page.rows)

    return SubjectExport(
        collection=name,
        subject=subject,
        pseudonym=about,
        policies=tuple(Policy.from_signed(one.policy)[0] for page in pages for one in page.policies),
        consents=tuple(status_from(entry) for page in pages for entry in page.consents),
        rows=(yield from local(opened)),
        holds=tuple(_hold(hold) for page in pages for hold in page.holds),
    )


def _row(place: Place, message: governance_pb2.SubjectRow) -> SubjectRow:
    entry = wire.entry_from_message(message.entry)
    record = place.opened(entry.row_id, entry.sealed_record)
    return SubjectRow(record, message.record_id, frozenset(message.purposes), message.withheld)


# Holds


def set_hold(session: Session, name: str, reason_code: str, subject: str | None, lift: bool) -> Flow[Hold]:
    """Keep rows from being erased, or let go of them."""
    place = yield from open_place(session, name)
    request = governance_pb2.SetHoldRequest(
        request_id=random_uid(),
        collection_uid=place.collection.uid,
        subject=b"" if subject is None else pseudonym(place.key.record_key, subject),
        reason_code=reason_code,
        lift=lift,
    )
    reply = yield from ask_one(session.patience, rpcs.SET_HOLD, [request], governance_pb2.SetHoldResponse)
    return _hold(reply.hold)


def holds(session: Session, name: str) -> Flow[list[Hold]]:
    """Every hold, lifted ones too."""
    collection = yield from collections.get(session, name)
    request = governance_pb2.ListHoldsRequest(collection_uid=collection.uid)
    reply = yield from ask_one(session.patience, rpcs.LIST_HOLDS, [request], governance_pb2.ListHoldsResponse)
    return [_hold(hold) for hold in reply.holds]


def _hold(message: governance_pb2.Hold) -> Hold:
    if len(message.subject) not in (0, UID_BYTES):
        raise MalformedMessage(f"a hold names a subject by {len(message.subject)} bytes, expected {UID_BYTES} or none")
    return Hold(
        require_plain(message.reason_code, "a hold's reason code"),
        message.subject or None,
        require_plain(message.set_by, "the name of who set a hold"),
        message.set_at,
        message.lifted_at or None,
    )


# Emergencies


def open_emergency(session: Session, name: str, reason_code: str, seconds: int, grantee: str) -> Flow[Emergency]:
    """Let somebody in without a purpose of the agreement."""
    collection = yield from collections.get(session, name)
    request = governance_pb2.BreakGlassRequest(
        request_id=random_uid(),
        collection_uid=collection.uid,
        grantee=grantee,
        reason_code=reason_code,
        seconds=seconds,
    )
    return (yield from _break_glass(session, request))


def end_emergency(session: Session, name: str, grantee: str) -> Flow[Emergency]:
    """Let somebody in no more."""
    collection = yield from collections.get(session, name)
    request = governance_pb2.BreakGlassRequest(
        request_id=random_uid(), collection_uid=collection.uid, grantee=grantee, end=True
    )
    return (yield from _break_glass(session, request))


def _break_glass(session: Session, request: governance_pb2.BreakGlassRequest) -> Flow[Emergency]:
    reply = yield from ask_one(session.patience, rpcs.BREAK_GLASS, [request], governance_pb2.BreakGlassResponse)
    return _emergency(reply.grant)


def emergencies(session: Session, name: str) -> Flow[list[Emergency]]:
    """Everybody who was let in, ended ones too."""
    collection = yield from collections.get(session, name)
    request = governance_pb2.ListBreakGlassRequest(collection_uid=collection.uid)
    reply = yield from ask_one(
        session.patience, rpcs.LIST_BREAK_GLASS, [request], governance_pb2.ListBreakGlassResponse
    )
    return [_emergency(grant) for grant in reply.grants]


def _emergency(message: governance_pb2.EmergencyGrant) -> Emergency:
    return Emergency(
        require_plain(message.grantee, "the name of who was let in"),
        require_plain(message.reason_code, "an emergency's reason code"),
        require_plain(message.granted_by, "the name of who let somebody in"),
        message.granted_at,
        message.ends_at,
        message.active,
        message.searches,
    )


# The record of processing


def activities(session: Session) -> Flow[tuple[Activity, ...]]:
    """Every collection that this device may see and that has an agreement, with it."""
    found = []
    for collection in (yield from collections.list_all(session)):
        try:
            agreement = yield from policies.of(session, collection)
        except PolicyNotFound:
            continue
        found.append(Activity(collection.name, agreement.policy, collection.rows))
    return tuple(found)
