"""Who was given which key, and when: a list on this device, for whoever has to revoke one. Never sent.

One small file for each time, a file of the vault: it may hold people's names. It says what was done here, not what
became of the copies, and knows nothing of what other devices gave.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from unseen.errors import IntegrityError
from unseen.json_text import read_json
from unseen_client.home import private_folder
from unseen_client.keys.keystore import CollectionKey
from unseen_client.keys.vault import Vault

FORMAT = "unseen-key-given-1"


@dataclass(frozen=True)
class GivenKey:
    """One time that a key left this device."""

    collection_uid: str
    name: str
    """The collection's."""
    key_id: str
    how: str
    """"device", "file", "sheet" or "shares"."""
    to: str
    """The device's fingerprint, or for the others how many there were."""
    label: str
    """What the user called whoever has it."""
    at_s: int
    """Seconds since 1970."""


class GivenKeys:
    """In ``home/keys-given``."""

    def __init__(self, home: Path, vault: Vault) -> None:
        self._home = home
        self._folder = home / "keys-given"
        self._vault = vault

    def note(self, key: CollectionKey, how: str, to: str, label: str, at_s: float) -> None:
        """Write one down; on disk when this returns."""
        private_folder(self._home)
        private_folder(self._folder)
        given = GivenKey(key.collection_uid.hex(), key.name, key.key_id, how, to, label, int(at_s))
        document = json.dumps({"format": FORMAT, **asdict(given)}, sort_keys=True).encode()
        self._vault.write_new(self._folder / f"{secrets.token_hex(8)}.json", document)

    def all(self) -> list[GivenKey]:
        """Every one, oldest first; IntegrityError for a damaged file."""
        if not self._folder.exists():
            return []
        given = (self._read(path) for path in self._folder.glob("*.json"))
        return sorted(given, key=lambda one: (one.at_s, one.name, one.to))

    def _read(self, path: Path) -> GivenKey:
        try:
            fields = read_json(self._vault.read(path))
            if fields.pop("format") == FORMAT:
                return GivenKey(**fields)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise IntegrityError(f"{path} is damaged; remove it") from error
        raise IntegrityError(f"{path} is of a newer release; use that one, or remove it")
