"""Tree heads: the notes of others are read alike, a head of another log or key is refused."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unseen.audit.head import TreeHead, key_hash, open_head, origin_of, sign_head, sign_note
from unseen.errors import ProofBroken
from unseen.signature import signed_bytes, verify_signature

# Public test data of golang.org/x/mod, sumdb/note/note_test.go at 02c99138 (BSD-3): a key, a text and its note.
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{TEXT}\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
HEAD = TreeHead("unseen/00ff/11", 20852163, bytes(range(32)))


def test_published_note_comes_out_byte_for_byte() -> None:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    assert key_hash("PeterNeumann", key.public_key().public_bytes_raw()).hex() == "c74f20a3"
    assert sign_note(TEXT, "PeterNeumann", key) == NOTE


def test_head_comes_back_under_any_key_of_its_log() -> None:
    note = sign_head(HEAD, KEY)
    assert open_head(note, HEAD.origin, [bytes(32), PUBLIC_KEY]) == HEAD
    assert origin_of(note) == HEAD.origin


def test_lines_of_witnesses_are_passed_over() -> None:
    witness = sign_note(HEAD.body(), "witness.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    note = sign_head(HEAD, KEY) + witness.split("\n\n")[1]
    assert open_head(note, HEAD.origin, [PUBLIC_KEY]) == HEAD


def test_every_flipped_byte_of_a_head_is_noticed() -> None:
    note = sign_head(HEAD, KEY).encode()
    for at in range(len(note)):
        altered = note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]
        with pytest.raises((ProofBroken, UnicodeDecodeError)):
            open_head(altered.decode(), HEAD.origin, [PUBLIC_KEY])
    for length in range(len(note)):
        with pytest.raises((ProofBroken, UnicodeDecodeError)):
            open_head(note[:length].decode(), HEAD.origin, [PUBLIC_KEY])


def test_head_of_another_log_or_key_is_refused() -> None:
    note = sign_head(HEAD, KEY)
    with pytest.raises(ProofBroken, match="another log"):
        open_head(note, "unseen/00ff/12", [PUBLIC_KEY])
    with pytest.raises(ProofBroken, match="no signature"):
        open_head(note, HEAD.origin, [bytes(32)])


@pytest.mark.parametrize(
    "text",
    ["", "a\n\n", "a\n1\n\n— a AAAA\n", f"a\n01\n{'A' * 43}=\n\n— a AAAA\n", f"a\n-1\n{'A' * 43}=\n\n— a AAAA\n",
     f"a b\n1\n{'A' * 43}=\n\n— a AAAA\n", f"a\n{'9' * 30}\n{'A' * 43}=\n\n— a AAAA\n", "a\n1\n" + "A" * 5000],
)  # fmt: skip
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ProofBroken, match="not a signed tree head"):
        origin_of(text)


def test_signature_over_one_kind_of_document_does_not_pass_as_another() -> None:
    signature = KEY.sign(signed_bytes("policy", b"text"))
    verify_signature(PUBLIC_KEY, "policy", b"text", signature)
    for key, purpose, document, mark in (
        (PUBLIC_KEY, "certificate", b"text", signature),
        (PUBLIC_KEY, "policy", b"texts", signature),
        (bytes(32), "policy", b"text", signature),
        (PUBLIC_KEY, "policy", b"text", signature[:-1]),
    ):
        with pytest.raises(ProofBroken):
            verify_signature(key, purpose, document, mark)
