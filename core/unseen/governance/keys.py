"""Ed25519 keys (RFC 8032) of those who sign documents, and what people compare keys by.

A controller's private key stays on its device, a server's on the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unseen.entropy import random_bytes
from unseen.errors import InvalidInput
from unseen.signature import signed_bytes

PRIVATE_KEY_BYTES = 32
FINGERPRINT_BYTES = 16

Sign = Callable[[str, bytes], bytes]
"""Signs a document's bytes for a kind of document, under a key that the caller of it never sees."""


@dataclass(frozen=True)
class KeyPair:
    """A private key and what others know it by."""

    private_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.private_key) != PRIVATE_KEY_BYTES:
            raise InvalidInput(f"got a signing key of {len(self.private_key)} bytes, expected {PRIVATE_KEY_BYTES}")

    @staticmethod
    def make() -> KeyPair:
        """A fresh one."""
        return KeyPair(random_bytes(PRIVATE_KEY_BYTES))

    @property
    def public_key(self) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.private_key).public_key().public_bytes_raw()

    def sign(self, kind: str, body: bytes) -> bytes:
        """64 bytes that only this key makes of a document of this kind."""
        return Ed25519PrivateKey.from_private_bytes(self.private_key).sign(signed_bytes(kind, body))


def fingerprint(public_key: bytes) -> str:
    """What people compare keys by: the first 16 bytes of SHA-256, in groups of four digits."""
    digits = hashlib.sha256(public_key).hexdigest()[: 2 * FINGERPRINT_BYTES]
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def is_fingerprint_of(text: str, public_key: bytes) -> bool:
    """Whether people mean this key, however they write blanks and case."""
    return "".join(text.lower().split()) == "".join(fingerprint(public_key).split())
