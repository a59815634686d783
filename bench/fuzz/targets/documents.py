"""Documents of governance: as they come, and rightly signed, so that what is signed is taken apart as well."""

from __future__ import annotations

from collections.abc import Callable

from bench.fuzz.target import Target, as_tree
from bench.terms import TERMS
from unseen.errors import InvalidDocument, ProofBroken
from unseen.governance.canonical import canonical_bytes, parse_canonical, parse_object
from unseen.governance.certificate import Act, Asked, ErasureCertificate, Receipt
from unseen.governance.consent import Consent
from unseen.governance.keys import KeyPair
from unseen.governance.policy import Policy
from unseen.governance.signed import Signed

KEY = KeyPair(bytes(range(32)))
PUBLIC_KEY = KEY.public_key
UID, NOON = bytes(range(16)), 1_767_268_800

POLICY = Policy.from_terms(dict(TERMS), collection_uid=UID, previous=None, issued_at=NOON)
CONSENT = Consent(
    record_id=UID,
    pii_principal_id=UID,
    collection_uid=UID,
    privacy_notice=POLICY.digest,
    policy_version=1,
    purposes=frozenset({"research"}),
    lawful_basis=POLICY.lawful_basis,
    event_time=NOON,
    validity_duration=3600,
    collection_method="paper form",
)
RECEIPT = Receipt(Act.CONSENT_RECORDED, UID, bytes(32), NOON)
CERTIFICATE = ErasureCertificate(UID, UID, next(iter(Asked)), UID, 1, 1, 2, NOON, ("tree-1",))


def signer(kind: str) -> Callable[[bytes], bytes]:
    """Signs a document, when the bytes are one that has a canonical form; leaves them as they are otherwise."""

    def sign(data: bytes) -> bytes:
        document = as_tree(data)
        if not isinstance(document, dict):
            return data
        try:
            return Signed.make(kind, document, PUBLIC_KEY, KEY.sign).to_bytes()
        except (InvalidDocument, UnicodeEncodeError):
            return data

    return sign


def canonical(data: bytes) -> None:
    """What is taken has exactly these bytes."""
    assert canonical_bytes(parse_canonical(data)) == data


def policy(data: bytes) -> None:
    found, signed = Policy.from_signed(data)
    assert found.to_document() == signed.document


def terms(data: bytes) -> None:
    found = Policy.from_terms(parse_object(data), collection_uid=UID, previous=POLICY, issued_at=NOON)
    assert Policy.from_document(found.to_document()) == found


def consent(data: bytes) -> None:
    assert Consent.from_bytes(data).to_bytes() == data


def receipt(data: bytes) -> None:
    Receipt.from_signed(data)


def certificate(data: bytes) -> None:
    ErasureCertificate.from_signed(data)


def _signed_target(name: str, run: Callable[[bytes], None], kind: str, signed: Signed) -> Target:
    return Target(
        name,
        run,
        (InvalidDocument, ProofBroken),
        (signed.to_bytes(),),
        dress=signer(kind),
        dressed_seeds=(canonical_bytes(signed.document),),
        most_bytes=8192,
        is_json=True,
    )


TARGETS = (
    Target(
        "governance.canonical.parse_canonical",
        canonical,
        (InvalidDocument,),
        (b'{"a":[1,"x",null,true,{}]}', CONSENT.to_bytes()),
        is_json=True,
    ),
    _signed_target("governance.policy.from_signed", policy, "policy", POLICY.signed(PUBLIC_KEY, KEY.sign)),
    Target("governance.policy.from_terms", terms, (InvalidDocument,), (canonical_bytes(POLICY.terms()),), is_json=True),
    Target("governance.consent.from_bytes", consent, (InvalidDocument,), (CONSENT.to_bytes(),), is_json=True),
    _signed_target("governance.receipt.from_signed", receipt, "receipt", RECEIPT.signed(PUBLIC_KEY, KEY.sign)),
    _signed_target(
        "governance.certificate.from_signed",
        certificate,
        "erasure certificate",
        CERTIFICATE.signed(PUBLIC_KEY, KEY.sign),
    ),
)
