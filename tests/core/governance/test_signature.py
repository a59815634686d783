"""Signatures of documents: known answers of RFC 8032, and one that holds for nothing but what was signed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.core.governance.written import CONTROLLER
from unseen.errors import InvalidDocument, InvalidInput, ProofBroken
from unseen.governance.canonical import Json, canonical_bytes
from unseen.governance.keys import KeyPair, fingerprint
from unseen.governance.signed import Signed
from unseen.signature import signed_bytes, verify_signature

DOCUMENT: dict[str, Json] = {"a": 1}


def test_the_public_key_of_rfc_8032_test_1() -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert KeyPair(secret).public_key.hex() == public


def test_a_signature_is_ed25519_of_kind_and_bytes() -> None:
    plain = Ed25519PrivateKey.from_private_bytes(CONTROLLER.private_key).sign(signed_bytes("policy", b"body"))
    assert CONTROLLER.sign("policy", b"body") == plain
    verify_signature(CONTROLLER.public_key, "policy", b"body", plain)


@given(st.integers(0, 63), st.integers(1, 255))
def test_a_signature_with_any_changed_byte_does_not_hold(at: int, change: int) -> None:
    signature = bytearray(CONTROLLER.sign("policy", b"body"))
    signature[at] ^= change
    with pytest.raises(ProofBroken):
        verify_signature(CONTROLLER.public_key, "policy", b"body", bytes(signature))


def test_a_signature_holds_for_no_other_kind_body_or_key() -> None:
    signature = CONTROLLER.sign("policy", b"body")
    for key, kind, body in (
        (CONTROLLER.public_key, "receipt", b"body"),
        (CONTROLLER.public_key, "policy", b"bodY"),
        (CONTROLLER.public_key, "polic", b"ybody"),
        (KeyPair.make().public_key, "policy", b"body"),
        (b"short", "policy", b"body"),
    ):
        with pytest.raises(ProofBroken):
            verify_signature(key, kind, body, signature)


def test_a_signed_document_comes_back_and_any_changed_byte_is_found() -> None:
    signed = Signed.make("policy", DOCUMENT, CONTROLLER.public_key, CONTROLLER.sign)
    data = signed.to_bytes()
    assert Signed.from_bytes("policy", data) == signed
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((ProofBroken, InvalidDocument)):
            Signed.from_bytes("policy", changed)
    with pytest.raises(ProofBroken):
        Signed.from_bytes("receipt", data)


def test_a_document_signed_by_another_key_says_whose_it_is() -> None:
    other = KeyPair.make()
    data = Signed.make("policy", DOCUMENT, other.public_key, other.sign).to_bytes()
    assert Signed.from_bytes("policy", data).public_key == other.public_key
    forged = canonical_bytes(
        {
            "document": DOCUMENT,
            "public_key": CONTROLLER.public_key.hex(),
            "signature": other.sign("policy", canonical_bytes(DOCUMENT)).hex(),
        }
    )
    with pytest.raises(ProofBroken):
        Signed.from_bytes("policy", forged)


def test_fingerprints_are_for_reading_aloud() -> None:
    assert fingerprint(bytes(32)) == "6668 7aad f862 bd77 6c8f c18b 8e9f 8e20"


def test_keys_of_another_length_are_refused_and_never_shown() -> None:
    with pytest.raises(InvalidInput):
        KeyPair(bytes(31))
    assert "\\x01" not in repr(CONTROLLER)
