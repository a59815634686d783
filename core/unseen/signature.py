"""Signatures over documents: policies by a controller, certificates by a server. A public key is all that checks them.

A signature is bound to the purpose it was made for, so that a document of one kind never passes as another.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from unseen.envelope import context
from unseen.errors import ProofBroken

SIGNATURE_BYTES = 64
PUBLIC_KEY_BYTES = 32


def signed_bytes(purpose: str, document: bytes) -> bytes:
    """What is signed for a document; never the text of a tree head, which begins otherwise."""
    return context("unseen-signature-1", purpose, document)


def verify_signature(public_key: bytes, purpose: str, document: bytes, signature: bytes) -> None:
    """Pass when this key signed the document for this purpose; raises ProofBroken (Ed25519, RFC 8032)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed_bytes(purpose, document))
    except (InvalidSignature, ValueError):
        raise ProofBroken("the signature does not fit: the document was altered, or another key signed it") from None
