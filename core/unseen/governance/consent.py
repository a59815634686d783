"""What rows rest on: a data subject's consent, or the note that they are processed on another basis. ISO/IEC TS 27560.

Made on the device that took the consent, kept by the server as it came, told to whoever may ask for it. It holds a
pseudonym, purposes and times; who the subject is stays with those who have the record key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from unseen.errors import InvalidDocument
from unseen.governance.canonical import Json, canonical_bytes, digest, parse_canonical
from unseen.governance.fields import Fields
from unseen.governance.moments import LAST_MOMENT_S, moment_text
from unseen.governance.policy import DIGEST_BYTES, MOST_VERSIONS, Policy
from unseen.governance.terms import PURPOSE_ID, ConsentState, LawfulBasis
from unseen.types import UID_BYTES

SCHEMA_VERSION = "unseen-consent-1 (ISO/IEC TS 27560:2023)"
MOST_VALIDITY_S = 100 * 366 * 86_400
_DURATION = re.compile(r"PT([1-9][0-9]{0,9})S")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True)
class Consent:
    """A consent record; field names after TS 27560 where it has one."""

    record_id: bytes
    """16 random bytes: what rows are marked with."""
    pii_principal_id: bytes
    """The data subject's pseudonym: ``unseen.governance.subject``."""
    collection_uid: bytes
    privacy_notice: bytes
    """Digest of the policy version that the subject was shown."""
    policy_version: int
    purposes: frozenset[str]
    lawful_basis: LawfulBasis
    event_time: int
    """When it was given, seconds since 1970."""
    validity_duration: int | None
    """Seconds from then on; None until it is withdrawn."""
    language: str = "en"
    """BCP 47: what the notice was written in."""
    collection_method: str = ""
    """How it was asked for: ``paper form``, ``web form``; empty when not said."""
    withdrawal_method: str = ""

    @property
    def valid_until(self) -> int | None:
        """The first second at which no row may rest on it; None when it has no end."""
        return None if self.validity_duration is None else self.event_time + self.validity_duration

    @property
    def initial_state(self) -> ConsentState:
        return ConsentState.GIVEN if self.lawful_basis.is_consent else ConsentState.RECORDED

    def require_fits(self, policy: Policy) -> None:
        """InvalidDocument unless it rests on this version of the agreement and asks for no more than that allows."""
        if (self.collection_uid, self.privacy_notice, self.policy_version, self.lawful_basis) != (
            policy.collection_uid,
            policy.digest,
            policy.version,
            policy.lawful_basis,
        ):
            raise InvalidDocument(
                f"a consent names another agreement or lawful basis than version {policy.version} of this collection's"
            )
        if unknown := len(self.purposes - policy.purpose_ids):
            raise InvalidDocument(f"a consent names {unknown} purposes that version {policy.version} does not have")

    def to_document(self) -> dict[str, Json]:
        """As it travels."""
        return {
            "schema_version": SCHEMA_VERSION,
            "record_id": self.record_id.hex(),
            "pii_principal_id": self.pii_principal_id.hex(),
            "collection_uid": self.collection_uid.hex(),
            "privacy_notice": self.privacy_notice.hex(),
            "policy_version": self.policy_version,
            "language": self.language,
            "purposes": sorted(self.purposes),
            "lawful_basis": str(self.lawful_basis),
            "collection_method": self.collection_method,
            "withdrawal_method": self.withdrawal_method,
            "event": {
                "event_time": moment_text(self.event_time),
                "validity_duration": None if self.validity_duration is None else f"PT{self.validity_duration}S",
                "event_state": str(self.initial_state),
            },
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical_bytes(self.to_document())

    @property
    def digest(self) -> bytes:
        """What a receipt names it by."""
        return bytes.fromhex(digest(self.to_bytes()))

    @staticmethod
    def from_bytes(data: bytes) -> Consent:
        """The inverse of ``to_bytes``; InvalidDocument says which field is wrong."""
        return Consent.from_document(parse_canonical(data))

    @staticmethod
    def from_document(document: Mapping[str, object]) -> Consent:
        """The inverse of ``to_document``."""
        fields = Fields(document, "a consent")
        fields.require("schema_version", SCHEMA_VERSION)
        event = Fields(fields.value("event"), "a consent's event")
        event_state, event_time, validity = event.text("event_state"), event.moment("event_time"), _validity(event)
        event.end()
        consent = Consent(
            record_id=fields.hex_bytes("record_id", UID_BYTES),
            pii_principal_id=fields.hex_bytes("pii_principal_id", UID_BYTES),
            collection_uid=fields.hex_bytes("collection_uid", UID_BYTES),
            privacy_notice=fields.hex_bytes("privacy_notice", DIGEST_BYTES),
            policy_version=fields.number("policy_version", 1, MOST_VERSIONS),
            purposes=frozenset(fields.texts("purposes", pattern=PURPOSE_ID, least=1)),
            lawful_basis=_lawful_basis(fields),
            event_time=event_time,
            validity_duration=validity,
            language=fields.text("language", pattern=_LANGUAGE),
            collection_method=fields.text("collection_method", empty=True),
            withdrawal_method=fields.text("withdrawal_method", empty=True),
        )
        fields.end()
        if event_state != consent.initial_state:
            raise InvalidDocument(f"a consent's event_state was expected to be {consent.initial_state}")
        return consent


def _lawful_basis(fields: Fields) -> LawfulBasis:
    name = fields.text("lawful_basis")
    if name not in set(LawfulBasis):
        raise InvalidDocument(f"a consent's lawful_basis is one of {', '.join(LawfulBasis)}")
    return LawfulBasis(name)


def _validity(event: Fields) -> int | None:
    text = event.value("validity_duration")
    if text is None:
        return None
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if not found or int(found[1]) > min(MOST_VALIDITY_S, LAST_MOMENT_S):
        raise InvalidDocument(f"a consent's validity_duration is null or PT1S to PT{MOST_VALIDITY_S}S")
    return int(found[1])
