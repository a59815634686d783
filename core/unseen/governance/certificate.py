"""What a server signs: that rows were erased, that an agreement was set or accepted, that a consent came or went.

A certificate says what was done, when and to how many rows; never which ones, never their contents. Whoever gets one
keeps it. It proves what the server said, not what its disks hold: docs/governance.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from unseen.errors import InvalidDocument
from unseen.governance.canonical import Json
from unseen.governance.fields import Fields
from unseen.governance.keys import Sign
from unseen.governance.moments import moment_text
from unseen.governance.policy import DIGEST_BYTES
from unseen.governance.signed import Signed
from unseen.types import UID_BYTES

CERTIFICATE_FORMAT = "unseen-erasure-certificate-1"
CERTIFICATE_KIND = "erasure certificate"
RECEIPT_FORMAT = "unseen-governance-receipt-1"
RECEIPT_KIND = "receipt"
LAST_EPOCH = (1 << 53) - 1
"""What a number in JSON holds exactly (RFC 8785, section 3.2.2.3)."""
_KEY_ID = re.compile(r"[0-9A-Za-z._:-]{1,128}")


class Asked(StrEnum):
    """What an erasure was asked by."""

    ROWS = "rows"
    SUBJECT = "subject"
    RETENTION = "retention"
    """The server itself: a consent that was withdrawn or ended, or the end of the policy's retention."""
    COLLECTION = "collection"


@dataclass(frozen=True)
class ErasureCertificate:
    """What was erased."""

    request_id: bytes
    collection_uid: bytes
    asked: Asked
    subject: bytes | None
    """The pseudonym, when that was asked for."""
    rows: int
    epoch_before: int
    epoch_after: int
    erased_at: int
    destroyed_keys: tuple[str, ...] = ()
    """Which keys were destroyed first: the tree of the key ring in hex, ":" and how many of its leaves; the tree alone
    when all of it was. Not which leaves: their numbers would tell how many rows others have enrolled."""

    def signed(self, public_key: bytes, sign: Sign) -> Signed:
        """Signed by the server."""
        document: dict[str, Json] = {
            "format": CERTIFICATE_FORMAT,
            "request_id": self.request_id.hex(),
            "collection_uid": self.collection_uid.hex(),
            "asked": str(self.asked),
            "subject": None if self.subject is None else self.subject.hex(),
            "rows": self.rows,
            "epoch_before": self.epoch_before,
            "epoch_after": self.epoch_after,
            "erased_at": moment_text(self.erased_at),
            "destroyed_keys": list(self.destroyed_keys),
        }
        return Signed.make(CERTIFICATE_KIND, document, public_key, sign)

    @staticmethod
    def from_signed(data: bytes) -> tuple[ErasureCertificate, Signed]:
        """A certificate and the proof of who signed it; InvalidDocument or ProofBroken."""
        signed = Signed.from_bytes(CERTIFICATE_KIND, data)
        fields = Fields(signed.document, "an erasure certificate")
        fields.require("format", CERTIFICATE_FORMAT)
        certificate = ErasureCertificate(
            request_id=fields.hex_bytes("request_id", UID_BYTES),
            collection_uid=fields.hex_bytes("collection_uid", UID_BYTES),
            asked=_asked(fields),
            subject=fields.optional_hex_bytes("subject", UID_BYTES),
            rows=fields.number("rows", 0, LAST_EPOCH),
            epoch_before=fields.number("epoch_before", 0, LAST_EPOCH),
            epoch_after=fields.number("epoch_after", 0, LAST_EPOCH),
            erased_at=fields.moment("erased_at"),
            destroyed_keys=fields.texts("destroyed_keys", pattern=_KEY_ID),
        )
        fields.end()
        return certificate, signed


class Act(StrEnum):
    """What a receipt acknowledges."""

    POLICY_SET = "policy-set"
    POLICY_ACCEPTED = "policy-accepted"
    CONSENT_RECORDED = "consent-recorded"
    CONSENT_WITHDRAWN = "consent-withdrawn"


@dataclass(frozen=True)
class Receipt:
    """The server's word that something is on its disk."""

    act: Act
    collection_uid: bytes
    about: bytes
    """Digest of the policy or consent."""
    at: int
    rows: int = 0
    """Rows that were withheld by it."""

    def signed(self, public_key: bytes, sign: Sign) -> Signed:
        """Signed by the server."""
        document: dict[str, Json] = {
            "format": RECEIPT_FORMAT,
            "act": str(self.act),
            "collection_uid": self.collection_uid.hex(),
            "about": self.about.hex(),
            "at": moment_text(self.at),
            "rows": self.rows,
        }
        return Signed.make(RECEIPT_KIND, document, public_key, sign)

    @staticmethod
    def from_signed(data: bytes) -> tuple[Receipt, Signed]:
        """A receipt and the proof of who signed it; InvalidDocument or ProofBroken."""
        signed = Signed.from_bytes(RECEIPT_KIND, data)
        fields = Fields(signed.document, "a receipt")
        fields.require("format", RECEIPT_FORMAT)
        receipt = Receipt(
            act=_act(fields),
            collection_uid=fields.hex_bytes("collection_uid", UID_BYTES),
            about=fields.hex_bytes("about", DIGEST_BYTES),
            at=fields.moment("at"),
            rows=fields.number("rows", 0, LAST_EPOCH),
        )
        fields.end()
        return receipt, signed


def _asked(fields: Fields) -> Asked:
    name = fields.text("asked")
    if name not in set(Asked):
        raise InvalidDocument(f"an erasure certificate's asked is one of {', '.join(Asked)}")
    return Asked(name)


def _act(fields: Fields) -> Act:
    name = fields.text("act")
    if name not in set(Act):
        raise InvalidDocument(f"a receipt's act is one of {', '.join(Act)}")
    return Act(name)
