"""A receipt: what the server gives a device for an act that its log holds, and what the device keeps of it.

It carries the leaf about the device's own act and a signed head of a tree that holds the leaf. Whoever keeps it can
show later that the log was cut or rewritten. It holds no content; it names the caller and the collection's uid.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.audit.head import MOST_HEAD_BYTES
from unseen.audit.leaf import MOST_LEAF_BYTES, canonical
from unseen.errors import MalformedMessage
from unseen.json_text import read_json

METADATA_KEY = "unseen-receipt-bin"
"""Trailing metadata key that carries a receipt."""
FORMAT = "unseen-receipt-1"
MOST_RECEIPT_BYTES = 2 * (MOST_LEAF_BYTES + MOST_HEAD_BYTES)


@dataclass(frozen=True)
class Receipt:
    """One act as the log holds it."""

    index: int
    """The leaf's place in the log."""
    leaf: bytes
    head: str
    """A signed head of a tree with more leaves than ``index``."""

    def to_bytes(self) -> bytes:
        """The receipt as it travels and is kept: canonical JSON."""
        return canonical({"format": FORMAT, "head": self.head, "index": self.index, "leaf": self.leaf.decode()})

    @staticmethod
    def from_bytes(data: bytes) -> Receipt:
        """The inverse; MalformedMessage for anything else. Nothing is verified but the form."""
        if len(data) <= MOST_RECEIPT_BYTES:
            try:
                match read_json(data):
                    case {"format": "unseen-receipt-1", "head": str(head), "index": int(index), "leaf": str(leaf)}:
                        return Receipt(index, leaf.encode(), head)
            except ValueError:
                pass
        raise MalformedMessage("got something that is not a receipt (docs/formats.md, Audit log)")
