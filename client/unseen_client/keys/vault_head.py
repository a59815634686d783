"""The head of the vault, ``key-store.json``: the vault key, wrapped, and what unwraps it. Format: ``docs/formats.md``.

Whoever gets the file may try passphrases offline. It says nothing of what the vault holds.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TypeAlias

from unseen import envelope
from unseen.json_text import read_json
from unseen_client.keys.passphrase import Stretching

FILE_NAME = "key-store.json"
FORMAT = "unseen-key-store-1"

Opener: TypeAlias = Stretching | str
"""What gives the key that the vault key is wrapped under: scrypt of the passphrase, or an entry of the keyring."""


@dataclass(frozen=True)
class VaultHead:
    """What the file says."""

    opener: Opener
    wrapped_key: bytes = field(repr=False)
    complete: bool
    """Whether every file of the vault was sealed: false while a first protection goes on, or after it crashed."""

    @staticmethod
    def wrap(opener: Opener, master: bytes, key: bytes, *, complete: bool) -> VaultHead:
        """One that holds the vault key ``key``; ``master``: what the opener gives. Both of 32 bytes."""
        return VaultHead(opener, envelope.wrap_key(master, key, _context(complete)), complete)

    def unwrap(self, master: bytes) -> bytes:
        """The vault key; raises WrongKey for another master, SealBroken for an altered head."""
        return envelope.unwrap_key(master, self.wrapped_key, _context(self.complete))

    @property
    def kind(self) -> str:
        """What the vault lies under: "passphrase" or "keyring"."""
        return "keyring" if isinstance(self.opener, str) else "passphrase"

    def to_bytes(self) -> bytes:
        """As it is kept."""
        fields: dict[str, object] = {
            "format": FORMAT,
            "kind": self.kind,
            "complete": self.complete,
            "wrapped_key": base64.b64encode(self.wrapped_key).decode("ascii"),
        }
        fields |= {"entry": self.opener} if isinstance(self.opener, str) else {"scrypt": self.opener.to_json()}
        return json.dumps(fields, indent=1, sort_keys=True).encode()

    @staticmethod
    def parse(data: bytes) -> VaultHead:
        """The inverse; ValueError for anything else, IntegrityError for a passphrase that costs too much to try."""
        match read_json(data):
            case {"format": "unseen-key-store-1", "complete": bool(complete), "wrapped_key": str(wrapped), **rest}:
                wrapped_key = base64.b64decode(wrapped, validate=True)
                match rest:
                    case {"kind": "passphrase", "scrypt": dict(scrypt)}:
                        return VaultHead(Stretching.from_json(scrypt), wrapped_key, complete)
                    case {"kind": "keyring", "entry": str(entry)}:
                        return VaultHead(entry, wrapped_key, complete)
        raise ValueError("no head of a vault")


def _context(complete: bool) -> bytes:
    return envelope.context("key store", FORMAT, int(complete))
