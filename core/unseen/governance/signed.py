"""A signed document as it travels and is kept: the document, the key that signed it, the signature; canonical JSON.

{"document": {...}, "public_key": 64 hex digits, "signature": 128 hex digits}
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.governance.canonical import Json, canonical_bytes, digest, parse_canonical
from unseen.governance.fields import Fields
from unseen.governance.keys import Sign
from unseen.signature import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify_signature


@dataclass(frozen=True)
class Signed:
    """Bytes of a document whose signature holds; whose key that is, is the reader's question."""

    kind: str
    document: dict[str, Json]
    public_key: bytes
    signature: bytes

    @staticmethod
    def make(kind: str, document: dict[str, Json], public_key: bytes, sign: Sign) -> Signed:
        """Sign a document."""
        return Signed(kind, document, public_key, sign(kind, canonical_bytes(document)))

    @staticmethod
    def from_bytes(kind: str, data: bytes) -> Signed:
        """Parse and verify; InvalidDocument for another form, ProofBroken for another content."""
        fields = Fields(parse_canonical(data), "a signed document")
        document = fields.value("document")
        signed = Signed(
            kind,
            document if isinstance(document, dict) else {},
            fields.hex_bytes("public_key", PUBLIC_KEY_BYTES),
            fields.hex_bytes("signature", SIGNATURE_BYTES),
        )
        fields.end()
        verify_signature(signed.public_key, kind, canonical_bytes(signed.document), signed.signature)
        return signed

    def to_bytes(self) -> bytes:
        """The canonical bytes of the whole."""
        return canonical_bytes(
            {"document": self.document, "public_key": self.public_key.hex(), "signature": self.signature.hex()}
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the document alone: the same whoever signed it."""
        return digest(canonical_bytes(self.document))
