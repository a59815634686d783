"""The device's key store: one file per collection with the record key that its members share. Never sent anywhere.

Whoever holds a key reads the names, captions, tags and thumbnails of its collection; a device without it can neither
enrol into the collection nor tell what a hit is. The files are as safe as the account that owns them: see
``docs/threat-model.md``. ``key_export`` hands keys to another device under a passphrase.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from pathlib import Path

from unseen.entropy import random_bytes
from unseen.errors import IntegrityError, InvalidInput, KeyMissing
from unseen.types import UID_BYTES
from unseen_client.home import private_folder, refuse_others, write_private

KEY_BYTES = 32
FORMAT = "unseen-record-key-1"


@dataclass(frozen=True)
class CollectionKey:
    """What members of one collection share."""

    collection_uid: bytes
    name: str
    """The collection's name when the key was made: for people."""
    record_key: bytes = field(repr=False)
    keep_vectors: bool = True
    """Whether records carry their vector, so that a device can search for more like one row."""

    def __post_init__(self) -> None:
        if len(self.collection_uid) != UID_BYTES or len(self.record_key) != KEY_BYTES:
            raise InvalidInput(f"a collection key is a uid of {UID_BYTES} bytes and a key of {KEY_BYTES} bytes")

    @staticmethod
    def make(collection_uid: bytes, name: str, *, keep_vectors: bool) -> CollectionKey:
        """A fresh key for a collection just created."""
        return CollectionKey(collection_uid, name, random_bytes(KEY_BYTES), keep_vectors)

    def to_json(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "collection_uid": self.collection_uid.hex(),
            "name": self.name,
            "record_key": base64.b64encode(self.record_key).decode("ascii"),
            "keep_vectors": self.keep_vectors,
        }

    @staticmethod
    def from_json(fields: object) -> CollectionKey:
        """The inverse of ``to_json``; raises IntegrityError for anything else."""
        match fields:
            case {
                "format": "unseen-record-key-1",
                "collection_uid": str(uid),
                "name": str(name),
                "record_key": str(key),
                "keep_vectors": bool(keep_vectors),
            }:
                try:
                    return CollectionKey(bytes.fromhex(uid), name, base64.b64decode(key, validate=True), keep_vectors)
                except (ValueError, binascii.Error, InvalidInput) as error:
                    raise IntegrityError("a record key is damaged; import it again from an export") from error
        raise IntegrityError(f"expected a record key of format {FORMAT}; import it again from an export")


class KeyStore:
    """Record keys by collection uid in ``home/keys``."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "keys"

    def require_private(self) -> None:
        """Make the folder, or refuse one that others can reach: before anything depends on it."""
        private_folder(self._home)
        private_folder(self._folder)

    def put(self, key: CollectionKey) -> None:
        """Keep a key for good; on disk when this returns. The same key again is fine, another one is refused."""
        self.require_private()
        path = self._path(key.collection_uid)
        if path.exists() and self.get(key.collection_uid).record_key != key.record_key:
            raise IntegrityError(f"this device already holds another record key for collection {key.name!r}; kept that")
        write_private(path, json.dumps(key.to_json(), indent=1, sort_keys=True).encode())

    def get(self, collection_uid: bytes, name: str = "") -> CollectionKey:
        """The key of a collection; raises KeyMissing, and IntegrityError for a damaged file."""
        path = self._path(collection_uid)
        if not path.exists():
            raise KeyMissing(
                f"this device holds no record key for collection {name or collection_uid.hex()!r}; on a device that "
                f"has it run `unseen keys export {name or 'NAME'} FILE`, then here `unseen keys import FILE`"
            )
        self.require_private()
        refuse_others(path, "600")
        try:
            return CollectionKey.from_json(json.loads(path.read_bytes()))
        except ValueError as error:
            raise IntegrityError(f"{path} is damaged; import the key again from an export") from error

    def forget(self, collection_uid: bytes) -> None:
        """Destroy the key of a deleted collection; nothing happens when there is none."""
        self._path(collection_uid).unlink(missing_ok=True)

    def all(self) -> list[CollectionKey]:
        """Every key held, by name."""
        if not self._folder.exists():
            return []
        keys = (self.get(bytes.fromhex(path.stem)) for path in self._folder.glob("*.json"))
        return sorted(keys, key=lambda key: key.name)

    def _path(self, collection_uid: bytes) -> Path:
        return self._folder / f"{collection_uid.hex()}.json"
