"""Consents: recorded, shown, withdrawn; and which consent each row of an enrolment rests on.

The server learns a pseudonym of the data subject, purposes and times; who the subject is stays here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from unseen.dp.mechanism import Mechanism
from unseen.dp.text import require_noise
from unseen.entropy import random_uid
from unseen.errors import (
    ConsentNotValid,
    InvalidInput,
    MalformedMessage,
    Mismatch,
    PolicyNotFound,
    PurposeNotAllowed,
)
from unseen.governance.certificate import Act
from unseen.governance.consent import Consent
from unseen.governance.policy import Policy
from unseen.governance.subject import pseudonym
from unseen.governance.terms import ConsentState
from unseen.types import UID_BYTES
from unseen.v1 import governance_pb2
from unseen_client import rpcs
from unseen_client.flows import policies
from unseen_client.flows.sync import Place, open_current, open_place, sync
from unseen_client.governed import ConsentStatus
from unseen_client.retry import ask, ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local
from unseen_client.streams import Collected

AnyConsent: TypeAlias = Consent | bytes | str
"""A consent, its record id, or that in hex."""


@dataclass(frozen=True)
class Given:
    """What a caller says of an enrolment: for all rows, or one for each."""

    subject: str | Sequence[str] | None
    consent: AnyConsent | Sequence[AnyConsent] | None
    purpose: str | Sequence[str] | None


NOTHING = Given(None, None, None)
"""What is said of rows where there is no agreement."""


@dataclass(frozen=True)
class Basis:
    """What one row rests on."""

    policy_digest: bytes
    purposes: frozenset[str]
    record_id: bytes
    """Of its consent; empty for none."""


@dataclass(frozen=True)
class Validity:
    """What a consent is recorded with."""

    purposes: str | Sequence[str] | None
    valid_for: timedelta | None
    method: str
    language: str


# Recording and withdrawing


def record(session: Session, name: str, subject: str, validity: Validity) -> Flow[Consent]:
    """Record a subject's consent to the agreement in force, which this device has accepted."""
    place = yield from open_place(session, name)
    agreement = yield from policies.require_accepted(session, place.collection)
    return (yield from _record(session, place, agreement.policy, subject, validity))


def _record(session: Session, place: Place, policy: Policy, subject: str, validity: Validity) -> Flow[Consent]:
    purposes = purposes_of(validity.purposes, policy)
    consent = Consent(
        record_id=random_uid(),
        pii_principal_id=pseudonym(place.key.record_key, subject),
        collection_uid=place.collection.uid,
        privacy_notice=policy.digest,
        policy_version=policy.version,
        purposes=purposes,
        lawful_basis=policy.lawful_basis,
        event_time=int(session.wall_clock_s()),
        validity_duration=_whole_seconds(validity.valid_for),
        language=validity.language,
        collection_method=validity.method,
        withdrawal_method=f"to {policy.controller.contact}",
    )
    request = governance_pb2.RecordConsentRequest(
        request_id=random_uid(), collection_uid=place.collection.uid, consent=consent.to_bytes()
    )
    reply = yield from ask_one(session.patience, rpcs.RECORD_CONSENT, [request], governance_pb2.RecordConsentResponse)
    yield from policies.require_receipt(
        session, reply.receipt, Act.CONSENT_RECORDED, place.collection.uid, consent.digest
    )
    return consent


def withdraw(session: Session, name: str, subject: str | None, consent: AnyConsent | None) -> Flow[int]:
    """Withdraw one consent, or every one of a subject; how many rows are found no more since."""
    place = yield from open_current(session, name)
    if (subject is None) == (consent is None):
        raise InvalidInput("give subject= to withdraw all of a subject's consents, or consent= to withdraw one")
    if consent is not None:
        record_ids = [record_id_of(consent)]
    else:
        found = yield from of_subject(session, place, subject or "")
        record_ids = [one.consent.record_id for one in found if one.state.is_valid]
        if not record_ids:
            raise ConsentNotValid("this subject has no consent here that stands; `unseen consent list` shows them all")
    rows = 0
    for record_id in record_ids:
        rows += yield from _withdraw(session, place, record_id)
    return rows


def _withdraw(session: Session, place: Place, record_id: bytes) -> Flow[int]:
    request = governance_pb2.WithdrawConsentRequest(
        request_id=random_uid(), collection_uid=place.collection.uid, record_id=record_id
    )
    reply = yield from ask_one(
        session.patience, rpcs.WITHDRAW_CONSENT, [request], governance_pb2.WithdrawConsentResponse
    )
    consent = Consent.from_bytes(reply.consent)
    if consent.record_id != record_id:
        raise Mismatch("the server ended another consent than the one asked for; it does not fit this client")
    receipt = yield from policies.require_receipt(
        session, reply.receipt, Act.CONSENT_WITHDRAWN, place.collection.uid, consent.digest
    )
    yield from sync(session, place, reply.epoch)
    return receipt.rows


# Showing


def list_all(session: Session, name: str, subject: str | None) -> Flow[list[ConsentStatus]]:
    """Every consent of a collection, or of one subject."""
    place = yield from open_place(session, name)
    return (yield from of_subject(session, place, subject))


def of_subject(session: Session, place: Place, subject: str | None) -> Flow[list[ConsentStatus]]:
    """The same for a collection that is open."""
    about = b"" if subject is None else pseudonym(place.key.record_key, subject)
    request = governance_pb2.ListConsentsRequest(collection_uid=place.collection.uid, subject=about)
    reply = yield from ask(
        session.patience, rpcs.LIST_CONSENTS, [request], lambda: Collected(governance_pb2.ListConsentsResponse)
    )
    found = [status_from(entry) for page in reply.messages for entry in page.consents]
    for one in found:
        if one.consent.collection_uid != place.collection.uid or about not in (b"", one.consent.pii_principal_id):
            raise Mismatch("the server shows consents of another collection or subject; it does not fit this client")
    return found


def status_from(entry: governance_pb2.ConsentEntry) -> ConsentStatus:
    """A consent as it arrived; MalformedMessage, InvalidDocument."""
    if entry.state not in set(ConsentState):
        raise MalformedMessage("a consent has a state that this release does not know")
    return ConsentStatus(Consent.from_bytes(entry.consent), ConsentState(entry.state), entry.ended_at or None)


# Enrolment


def bases(
    session: Session, place: Place, given: Given, count: int, noise: Mechanism | None
) -> Flow[Sequence[Basis | None]]:
    """What each of ``count`` rows rests on; nothing where no purpose is said and there is no agreement.

    The agreement is asked for before any row may leave, also where this device knows of none: it may ask for noise.
    Asks for consents by subject, once for each subject. Raises PolicyNotAccepted, PurposeNotAllowed, ConsentNotValid,
    and InvalidInput for rows without the noise that the agreement asks for.
    """
    agreed = yield from local(lambda: session.agreements.of(place.collection.uid))
    try:
        policy = (yield from policies.require_accepted(session, place.collection)).policy
    except PolicyNotFound:
        if agreed is None and given.consent is None and given.purpose is None:
            return [None] * count
        raise
    if policy.noise is not None:
        require_noise(f"{policy.noise.mechanism}:{policy.noise.max_epsilon}", noise)
    subjects: Sequence[str | None] = _one_each(given.subject, count, "subjects")
    consents: Sequence[AnyConsent | None] = _one_each(given.consent, count, "consents")
    found: dict[tuple[str | None, AnyConsent | None], Basis] = {}
    for pair in zip(subjects, consents, strict=True):
        if pair not in found:
            found[pair] = yield from _basis(session, place, policy, *pair, given.purpose)
    return [found[pair] for pair in zip(subjects, consents, strict=True)]


def _basis(
    session: Session,
    place: Place,
    policy: Policy,
    subject: str | None,
    consent: AnyConsent | None,
    purpose: str | Sequence[str] | None,
) -> Flow[Basis]:
    wanted = None if purpose is None else purposes_of(purpose, policy)
    if isinstance(consent, Consent):
        return Basis(policy.digest, wanted or consent.purposes & policy.purpose_ids, consent.record_id)
    if consent is not None and subject is None:
        if wanted is None:
            raise InvalidInput("with a consent by its id, say purpose= too, or give subject= to have it looked up")
        return Basis(policy.digest, wanted, record_id_of(consent))
    if subject is None:
        if policy.lawful_basis.is_consent:
            raise ConsentNotValid(
                f"collection {place.collection.name!r} rests on consent: say subject= whose consent it is, or consent="
            )
        return Basis(policy.digest, wanted or policy.purpose_ids, b"")
    named = None if consent is None else record_id_of(consent)
    standing = yield from _standing(session, place, subject, named, wanted)
    if standing is None and not policy.lawful_basis.is_consent and named is None:
        standing = yield from _record(session, place, policy, subject, Validity(purpose, None, "", "en"))
    if standing is None:
        raise ConsentNotValid(
            f"no consent of this subject stands in {place.collection.name!r} that covers what is asked for; "
            f"`unseen consent record {place.collection.name} SUBJECT` records one"
        )
    return Basis(policy.digest, wanted or standing.purposes & policy.purpose_ids, standing.record_id)


def _standing(
    session: Session, place: Place, subject: str, named: bytes | None, wanted: frozenset[str] | None
) -> Flow[Consent | None]:
    """The newest consent of a subject that stands, covers what is wanted, and is the one that was named, if one was."""
    found = yield from of_subject(session, place, subject)
    fits = [
        one.consent
        for one in found
        if one.state.is_valid
        and named in (None, one.consent.record_id)
        and (wanted is None or wanted <= one.consent.purposes)
    ]
    return fits[-1] if fits else None


def purposes_of(purposes: str | Sequence[str] | None, policy: Policy) -> frozenset[str]:
    """What was asked for, or everything that the policy allows; PurposeNotAllowed for anything else."""
    if purposes is None:
        return policy.purpose_ids
    asked = frozenset([purposes] if isinstance(purposes, str) else purposes)
    if not asked or not asked <= policy.purpose_ids:
        raise PurposeNotAllowed(
            f"the agreement's purposes are {', '.join(sorted(policy.purpose_ids))}; "
            f"got {len(asked - policy.purpose_ids)} others among {len(asked)}"
        )
    return asked


def record_id_of(consent: AnyConsent) -> bytes:
    """The record id of a consent, however it was given; InvalidInput."""
    if isinstance(consent, Consent):
        return consent.record_id
    try:
        record_id = bytes.fromhex(consent) if isinstance(consent, str) else bytes(consent)
    except (ValueError, TypeError):
        record_id = b""
    if len(record_id) != UID_BYTES:
        raise InvalidInput("a consent is named by the 32 hex digits of its record id; `unseen consent list` shows them")
    return record_id


def _one_each(given: object, count: int, what: str) -> Sequence[Any]:
    """What was given for each of ``count`` rows; InvalidInput when it does not fit them."""
    if given is None or isinstance(given, (str, bytes, Consent)):
        return [given] * count
    several = list(given) if isinstance(given, Iterable) else []
    if len(several) != count:
        raise InvalidInput(f"got {len(several)} {what} for {count} rows; give one for all, or one each in their order")
    return several


def _whole_seconds(valid_for: timedelta | None) -> int | None:
    if valid_for is None:
        return None
    seconds = int(valid_for.total_seconds())
    if seconds < 1:
        raise InvalidInput("valid_for= is at least one second, or None until the consent is withdrawn")
    return seconds
