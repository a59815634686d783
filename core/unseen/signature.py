"""Signatures over documents: policies by a controller, certificates by a server. A public key is all that checks them.

A signature is bound to the purpose it was made for, so that a document of one kind never passes as another. And it is
bound to its key: under a public key of small order one signature fits nearly every document, so such keys are refused,
and so is a second spelling of a key (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", section 3).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from unseen.envelope import context
from unseen.errors import InvalidInput, ProofBroken

SIGNATURE_BYTES = 64
PUBLIC_KEY_BYTES = 32

_PRIME = 2**255 - 19
_SIGN_OF_X = 1 << 255
_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y = frozenset({1, _PRIME - 1, 0, _ORDER_8_Y, _PRIME - _ORDER_8_Y})
"""y of the eight points whose order divides 8: of order 1, 2, 4, 8 and 8. x and -x share one."""


def require_sound_key(public_key: bytes) -> None:
    """InvalidInput unless these are the 32 bytes of RFC 8032, section 5.1.2, of a point of large order.

    Whether the bytes name a point at all is found by whoever verifies with them.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidInput(f"got a public key of {len(public_key)} bytes, expected {PUBLIC_KEY_BYTES}")
    y = int.from_bytes(public_key, "little") & ~_SIGN_OF_X
    if y >= _PRIME:
        raise InvalidInput("got a public key that is spelled in another way than the only one (RFC 8032, 5.1.2)")
    if y in _SMALL_ORDER_Y:
        raise InvalidInput("got a public key of small order, under which anybody can sign; ask its owner for a new one")


def signed_bytes(purpose: str, document: bytes) -> bytes:
    """What is signed for a document; never the text of a tree head, which begins otherwise."""
    return context("unseen-signature-1", purpose, document)


def verify_signature(public_key: bytes, purpose: str, document: bytes, signature: bytes) -> None:
    """Pass when this key signed the document for this purpose; raises ProofBroken (Ed25519, RFC 8032)."""
    verify_plain(public_key, signed_bytes(purpose, document), signature)


def verify_plain(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Pass when this key, one that is sound, signed these very bytes; raises ProofBroken (Ed25519, RFC 8032)."""
    try:
        require_sound_key(public_key)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidInput as error:
        raise ProofBroken(f"the signature proves nothing: {error}") from None
    except (InvalidSignature, ValueError):
        raise ProofBroken("the signature does not fit: what was signed was altered, or another key signed it") from None
