"""What a server signs comes back as it was said, and its form is held still."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tests.core.governance.written import CONTROLLER, NOON, RECORD, SUBJECT, UID
from unseen.errors import InvalidDocument, ProofBroken
from unseen.governance.certificate import Act, Asked, ErasureCertificate, Receipt
from unseen.governance.signed import Signed

CERTIFICATE = ErasureCertificate(RECORD, UID, Asked.SUBJECT, SUBJECT, 7, 41, 42, NOON, ("key-1",))
RECEIPT = Receipt(Act.CONSENT_WITHDRAWN, UID, bytes(range(32)), NOON, 3)
CERTIFICATE_TRIPWIRE = "ee26239e2328bba11aa25f40a1e7ab1145fd9d6788e831fcd42032dd7859123a"
RECEIPT_TRIPWIRE = "0a0adca0e9995761d3ed7b3c50f05ea0ff1250001c7be1bc055a6285c31c65da"


def signed(document: ErasureCertificate | Receipt) -> bytes:
    return document.signed(CONTROLLER.public_key, CONTROLLER.sign).to_bytes()


def test_the_forms_are_held_still() -> None:
    hashes = [hashlib.sha256(signed(document)).hexdigest() for document in (CERTIFICATE, RECEIPT)]
    assert hashes == [CERTIFICATE_TRIPWIRE, RECEIPT_TRIPWIRE], "a format changed: docs/formats.md"


@pytest.mark.parametrize("asked", list(Asked))
def test_a_certificate_comes_back(asked: Asked) -> None:
    subject = SUBJECT if asked is Asked.SUBJECT else None
    one = replace(CERTIFICATE, asked=asked, subject=subject, destroyed_keys=())
    again, proof = ErasureCertificate.from_signed(signed(one))
    assert (again, proof.public_key) == (one, CONTROLLER.public_key)


@pytest.mark.parametrize("act", list(Act))
def test_a_receipt_comes_back(act: Act) -> None:
    again, proof = Receipt.from_signed(signed(replace(RECEIPT, act=act)))
    assert (again, proof.public_key) == (replace(RECEIPT, act=act), CONTROLLER.public_key)


def test_a_receipt_is_no_certificate_and_the_other_way_round() -> None:
    with pytest.raises(ProofBroken):
        ErasureCertificate.from_signed(signed(RECEIPT))
    with pytest.raises(ProofBroken):
        Receipt.from_signed(signed(CERTIFICATE))


def test_a_certificate_of_another_format_is_refused_though_its_signature_holds() -> None:
    document = dict(Signed.from_bytes("erasure certificate", signed(CERTIFICATE)).document)
    for change in ({"format": "2"}, {"asked": "nicely"}, {"rows": -1}, {"rows": "7"}, {"subject": "ab"}, {"more": 1}):
        forged = Signed.make("erasure certificate", {**document, **change}, CONTROLLER.public_key, CONTROLLER.sign)
        with pytest.raises(InvalidDocument):
            ErasureCertificate.from_signed(forged.to_bytes())
