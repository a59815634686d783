"""What calls about agreements, consents and rights give back. Stays on the device."""

from __future__ import annotations

from dataclasses import dataclass

from unseen.governance.certificate import ErasureCertificate
from unseen.governance.consent import Consent
from unseen.governance.keys import fingerprint
from unseen.governance.policy import Policy
from unseen.governance.terms import ConsentState
from unseen_client.records import Record


@dataclass(frozen=True)
class Agreement:
    """One version of a collection's policy, whose signature holds, and how this device stands to it."""

    policy: Policy
    controller_key: bytes
    receipt: bytes
    """The server's countersignature."""
    accepted: bool
    """Whether this device accepted this very version."""
    known_controller: bool | None
    """Whether the key is the one that this device trusts; None when it trusts none for this collection yet."""

    @property
    def fingerprint(self) -> str:
        """What to compare with the controller, by another way."""
        return fingerprint(self.controller_key)


@dataclass(frozen=True)
class Acceptance:
    """Who accepted which version, as the server has it."""

    caller: str
    version: int
    at: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class ConsentStatus:
    """A consent and what became of it."""

    consent: Consent
    state: ConsentState
    ended_at: int | None
    """Seconds since 1970; None while it stands."""


@dataclass(frozen=True)
class Erasure:
    """What was erased, and the proof that the server said so."""

    certificate: ErasureCertificate
    signed: bytes
    """The certificate as the server signed it; this device keeps it too."""

    @property
    def rows(self) -> int:
        return self.certificate.rows


@dataclass(frozen=True)
class SubjectRow:
    """A row of a data subject."""

    record: Record
    record_id: bytes
    """Of the consent that it rests on."""
    purposes: frozenset[str]
    withheld: bool
    """True when it is kept but found no more."""


@dataclass(frozen=True)
class Hold:
    """A legal hold."""

    reason_code: str
    subject: bytes | None
    """A pseudonym; None for every row of the collection."""
    set_by: str
    set_at: int
    lifted_at: int | None


@dataclass(frozen=True)
class Emergency:
    """Somebody was let in without a purpose."""

    grantee: str
    reason_code: str
    granted_by: str
    granted_at: int
    ends_at: int
    active: bool
    searches: int


@dataclass(frozen=True)
class SubjectExport:
    """Everything that the server and this device hold about a data subject in one collection."""

    collection: str
    subject: str
    pseudonym: bytes
    policies: tuple[Policy, ...]
    consents: tuple[ConsentStatus, ...]
    rows: tuple[SubjectRow, ...]
    holds: tuple[Hold, ...]
