"""The agreement of a collection: who is responsible, what for, on which basis, for how long. Machine-readable, signed.

Public to everybody who may see the collection. What of it is enforced, and by whom, is in docs/governance.md; its
schema in docs/schemas/policy.json. A version is never changed: a new one names the one before by its digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from unseen.errors import InvalidDocument
from unseen.governance.canonical import Json, canonical_bytes, digest
from unseen.governance.fields import Fields
from unseen.governance.keys import Sign
from unseen.governance.moments import DAY_S, moment_text
from unseen.governance.signed import Signed
from unseen.governance.terms import EMERGENCY, PURPOSE_ID, LawfulBasis, SpecialCategoryBasis
from unseen.types import UID_BYTES

FORMAT = "unseen-policy-1"
KIND = "policy"
MOST_VERSIONS = 10_000
MOST_RETENTION_DAYS = 36_500
MOST_EMERGENCY_HOURS = 168
DIGEST_BYTES = 32
_DECIMAL = re.compile(r"\d{1,4}(\.\d{1,6})?", re.ASCII)
_MECHANISM = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Controller:
    """Who answers for the processing (GDPR Art. 4(7))."""

    name: str
    contact: str
    """Where a data subject reaches it: an address, a mailto: link."""
    address: str = ""
    representative: str = ""
    """GDPR Art. 27, where there is one."""


@dataclass(frozen=True)
class Purpose:
    """What a query may be made for."""

    id: str
    """What queries and consents name."""
    description: str
    """A sentence that a data subject understands."""
    type: str = ""
    """A term such as ``dpv:ScientificResearch``."""


@dataclass(frozen=True)
class NoiseRequirement:
    """The noise that a device has to add to a vector before it enrols it."""

    mechanism: str
    max_epsilon: str
    """The largest epsilon of one release, as decimal digits: documents carry no fractions."""


@dataclass(frozen=True)
class Emergency:
    """Whether somebody may be let in without a purpose of the agreement, and for how long at a time."""

    most_hours: int


@dataclass(frozen=True)
class Policy:
    """One version of the agreement of one collection."""

    collection_uid: bytes
    version: int
    """From 1, by one."""
    previous: bytes | None
    """Digest of the version before; None for the first."""
    issued_at: int
    """Seconds since 1970, by the controller's clock."""
    controller: Controller
    contact: str
    """Of the data protection officer; empty where there is none."""
    purposes: tuple[Purpose, ...]
    lawful_basis: LawfulBasis
    special_category_basis: SpecialCategoryBasis
    data_categories: tuple[str, ...]
    data_subjects: tuple[str, ...]
    allowed_uses: tuple[str, ...]
    """Kinds of processing, in words or as ``dpv:`` terms."""
    recipients: tuple[str, ...]
    transfers: tuple[str, ...]
    """Third countries, with the safeguard (GDPR Art. 30(1)(e))."""
    retention_days: int | None
    """From enrolment to erasure; None for as long as the collection stands."""
    security_measures: tuple[str, ...]
    noise: NoiseRequirement | None = None
    emergency: Emergency | None = None

    def __post_init__(self) -> None:
        if (self.version == 1) != (self.previous is None):
            raise InvalidDocument("the first version of a policy has no previous one, and every other has one")
        ids = [purpose.id for purpose in self.purposes]
        if len(set(ids)) != len(ids) or EMERGENCY in ids:
            raise InvalidDocument(f"every purpose needs an id of its own, and {EMERGENCY!r} is not free to use")

    @property
    def purpose_ids(self) -> frozenset[str]:
        return frozenset(purpose.id for purpose in self.purposes)

    @property
    def retention_s(self) -> int | None:
        return None if self.retention_days is None else self.retention_days * DAY_S

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for this version."""
        return bytes.fromhex(digest(canonical_bytes(self.to_document())))

    def to_document(self) -> dict[str, Json]:
        """As it is signed."""
        return {
            "format": FORMAT,
            "collection_uid": self.collection_uid.hex(),
            "version": self.version,
            "previous": None if self.previous is None else self.previous.hex(),
            "issued_at": moment_text(self.issued_at),
            **self.terms(),
        }

    def terms(self) -> dict[str, Json]:
        """What people write down and agree to: everything but its place in the history of a collection."""
        return {
            "controller": asdict(self.controller),
            "contact": self.contact,
            "purposes": [asdict(purpose) for purpose in self.purposes],
            "lawful_basis": str(self.lawful_basis),
            "special_category_basis": str(self.special_category_basis),
            "data_categories": list(self.data_categories),
            "data_subjects": list(self.data_subjects),
            "allowed_uses": list(self.allowed_uses),
            "recipients": list(self.recipients),
            "transfers": list(self.transfers),
            "retention_days": self.retention_days,
            "security_measures": list(self.security_measures),
            "noise": None if self.noise is None else asdict(self.noise),
            "emergency": None if self.emergency is None else asdict(self.emergency),
        }

    def signed(self, public_key: bytes, sign: Sign) -> Signed:
        """Signed by the controller."""
        return Signed.make(KIND, self.to_document(), public_key, sign)

    @staticmethod
    def from_signed(data: bytes) -> tuple[Policy, Signed]:
        """A policy and the proof of who signed it; InvalidDocument or ProofBroken."""
        signed = Signed.from_bytes(KIND, data)
        return Policy.from_document(signed.document), signed

    @staticmethod
    def from_document(document: Mapping[str, object]) -> Policy:
        """The inverse of ``to_document``; InvalidDocument says which field is wrong."""
        fields = Fields(document, "a policy")
        fields.require("format", FORMAT)
        uid = fields.hex_bytes("collection_uid", UID_BYTES)
        version = fields.number("version", 1, MOST_VERSIONS)
        previous = fields.optional_hex_bytes("previous", DIGEST_BYTES)
        issued_at = fields.moment("issued_at")
        return replace(_terms(fields), collection_uid=uid, version=version, previous=previous, issued_at=issued_at)

    @staticmethod
    def from_terms(
        document: Mapping[str, object], *, collection_uid: bytes, previous: Policy | None, issued_at: int
    ) -> Policy:
        """What people wrote down, put in its place after the version before; InvalidDocument."""
        return replace(
            _terms(Fields(document, "a policy")),
            collection_uid=collection_uid,
            version=1 if previous is None else previous.version + 1,
            previous=None if previous is None else previous.digest,
            issued_at=issued_at,
        )


def _terms(fields: Fields) -> Policy:
    policy = Policy(
        collection_uid=bytes(UID_BYTES),
        version=1,
        previous=None,
        issued_at=0,
        controller=_controller(fields.value("controller")),
        contact=fields.text("contact", empty=True),
        purposes=tuple(_purpose(item) for item in fields.items("purposes", least=1)),
        lawful_basis=_basis(fields),
        special_category_basis=_special_basis(fields),
        data_categories=fields.texts("data_categories", least=1),
        data_subjects=fields.texts("data_subjects", least=1),
        allowed_uses=fields.texts("allowed_uses", least=1),
        recipients=fields.texts("recipients"),
        transfers=fields.texts("transfers"),
        retention_days=fields.optional_number("retention_days", 1, MOST_RETENTION_DAYS),
        security_measures=fields.texts("security_measures"),
        noise=_noise(fields.value("noise")),
        emergency=_emergency(fields.value("emergency")),
    )
    fields.end()
    return policy


def _controller(document: object) -> Controller:
    fields = Fields(document, "a policy's controller")
    controller = Controller(
        name=fields.text("name"),
        contact=fields.text("contact"),
        address=fields.text("address", empty=True),
        representative=fields.text("representative", empty=True),
    )
    fields.end()
    return controller


def _purpose(document: object) -> Purpose:
    fields = Fields(document, "a policy's purpose")
    purpose = Purpose(
        id=fields.text("id", pattern=PURPOSE_ID),
        description=fields.text("description"),
        type=fields.text("type", empty=True),
    )
    fields.end()
    return purpose


def _basis(fields: Fields) -> LawfulBasis:
    name = fields.text("lawful_basis")
    if name not in set(LawfulBasis):
        raise InvalidDocument(f"a policy's lawful_basis is one of {', '.join(LawfulBasis)}")
    return LawfulBasis(name)


def _special_basis(fields: Fields) -> SpecialCategoryBasis:
    name = fields.text("special_category_basis", empty=True)
    if name not in set(SpecialCategoryBasis):
        raise InvalidDocument(
            f"a policy's special_category_basis is empty or one of {', '.join(filter(None, SpecialCategoryBasis))}"
        )
    return SpecialCategoryBasis(name)


def _noise(document: object | None) -> NoiseRequirement | None:
    if document is None:
        return None
    fields = Fields(document, "a policy's noise")
    noise = NoiseRequirement(fields.text("mechanism", pattern=_MECHANISM), fields.text("max_epsilon", pattern=_DECIMAL))
    fields.end()
    return noise


def _emergency(document: object | None) -> Emergency | None:
    if document is None:
        return None
    fields = Fields(document, "a policy's emergency")
    emergency = Emergency(fields.number("most_hours", 1, MOST_EMERGENCY_HOURS))
    fields.end()
    return emergency
