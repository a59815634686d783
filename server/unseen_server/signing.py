"""The server's signing key: made at the first start, sealed in the store as a fact, signs tree heads and documents.

The private key never leaves the process and the store. Public keys are for everybody: they are how a receipt or a
certificate is checked. Whoever holds the store and its master key can sign as the server; a receipt then still shows
that the log was rewritten, because it does not fit.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unseen.audit.head import TreeHead, sign_head
from unseen.entropy import random_bytes
from unseen.errors import IntegrityError
from unseen.signature import signed_bytes
from unseen.store.interface import Store

KEY_BYTES = 32
FACT_KIND = "signing-key"
FORMAT = b"\x01"
"""First byte of the fact's body: an Ed25519 private key of 32 bytes follows."""


class SigningKey:
    """Signs with the newest key; older ones are known, so that what they signed can be checked."""

    def __init__(self, private_keys: tuple[Ed25519PrivateKey, ...]) -> None:
        self._newest = private_keys[-1]
        self.public_keys = tuple(key.public_key().public_bytes_raw() for key in private_keys)
        """Every public key, the newest last."""

    @property
    def public_key(self) -> bytes:
        """The key that signs now."""
        return self.public_keys[-1]

    def sign(self, purpose: str, document: bytes) -> bytes:
        """64 bytes that ``unseen.signature.verify_signature`` checks."""
        return self._newest.sign(signed_bytes(purpose, document))

    def sign_head(self, head: TreeHead) -> str:
        """A tree head as a signed note."""
        return sign_head(head, self._newest)


def open_signing_key(store: Store) -> SigningKey:
    """The store's signing key; made first when it has none."""
    facts = store.facts(FACT_KIND)
    if not facts:
        made = Ed25519PrivateKey.from_private_bytes(random_bytes(KEY_BYTES))
        facts = (store.append_fact(FACT_KIND, b"", FORMAT + made.private_bytes_raw()),)
    return SigningKey(tuple(_opened(fact.body) for fact in facts))


def _opened(body: bytes) -> Ed25519PrivateKey:
    if body[:1] != FORMAT or len(body) != 1 + KEY_BYTES:
        raise IntegrityError("a signing key in the store has a form that this release does not know")
    return Ed25519PrivateKey.from_private_bytes(body[1:])
