"""The device's key store: one file per collection with the record key that its members share. Never sent anywhere.

Whoever holds a key reads the names, captions, tags and thumbnails of its collection; a device without it can neither
enrol into the collection nor tell what a hit is. The files are as safe as the account that owns them: see
``docs/threat-model.md``. ``key_export`` hands keys to another device under a passphrase.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from unseen.entropy import random_bytes
from unseen.errors import IntegrityError, InvalidInput, KeyMissing, Mismatch
from unseen.json_text import read_json
from unseen.types import UID_BYTES
from unseen_client.home import private_folder, refuse_others, write_private

KEY_BYTES = 32
KEY_FILE = re.compile(rf"[0-9a-f]{{{2 * UID_BYTES}}}\.json")
FORMAT = "unseen-record-key-2"
FORMAT_WITHOUT_STORE = "unseen-record-key-1"
FORMAT_WITH_METRIC = "unseen-record-key-3"
COSINE = "cosine"
SHORTEST, LARGEST = 1e-15, 1e15
"""What ``longest`` may be: squares of longer vectors leave float32."""


@dataclass(frozen=True)
class CollectionKey:
    """What members of one collection share."""

    collection_uid: bytes
    name: str
    """The collection's name: a server that has this uid under another name is refused."""
    record_key: bytes = field(repr=False)
    keep_vectors: bool = True
    """Whether records carry their vector, so that a device can search for more like one row."""
    store_uid: bytes | None = None
    """The store that the collection is in; None for keys of the first format, which did not keep it."""
    metric: str = COSINE
    """How rows are compared, the same on every device: see ``unseen_client.retrieval.metric``. No server is told."""
    longest: float = 1.0
    """The length of the longest vector that the metric takes; 1 for cosine."""

    def __post_init__(self) -> None:
        uids = (self.collection_uid, self.store_uid or bytes(UID_BYTES))
        if any(len(uid) != UID_BYTES for uid in uids) or len(self.record_key) != KEY_BYTES:
            raise InvalidInput(f"a collection key is uids of {UID_BYTES} bytes and a key of {KEY_BYTES} bytes")
        if self.metric != COSINE and self.store_uid is None:
            raise InvalidInput("a key with another metric than cosine names the store that its collection is in")

    @staticmethod
    def make(
        collection_uid: bytes,
        name: str,
        *,
        keep_vectors: bool,
        store_uid: bytes | None = None,
        metric: str = COSINE,
        longest: float = 1.0,
    ) -> CollectionKey:
        """A fresh key for a collection just created."""
        return CollectionKey(collection_uid, name, random_bytes(KEY_BYTES), keep_vectors, store_uid, metric, longest)

    def require_right(self, name: str, store_uid: bytes) -> None:
        """Refuse what a server calls by this key's uid when it is another collection; raises Mismatch."""
        if self.name != name:
            raise Mismatch(
                f"asked for collection {name!r}, the server named the uid of {self.name!r}, whose record key is not "
                "for it; nothing was sent. Do not trust this server"
            )
        if self.store_uid not in (None, store_uid):
            raise Mismatch(
                f"the record key of collection {name!r} belongs to another store than this server's; nothing was sent. "
                "Connect to the server that the collection was made on"
            )

    def to_json(self) -> dict[str, object]:
        """The key as it is kept and exported: without a store in the first format, for another metric in the third.

        Releases that know no metric refuse the third.
        """
        fields: dict[str, object] = {
            "format": FORMAT_WITHOUT_STORE,
            "collection_uid": self.collection_uid.hex(),
            "name": self.name,
            "record_key": base64.b64encode(self.record_key).decode("ascii"),
            "keep_vectors": self.keep_vectors,
        }
        if self.store_uid is not None:
            fields |= {"format": FORMAT, "store_uid": self.store_uid.hex()}
        if self.metric != COSINE:
            fields |= {"format": FORMAT_WITH_METRIC, "metric": self.metric, "longest": self.longest}
        return fields

    @staticmethod
    def from_json(fields: object) -> CollectionKey:
        """The inverse of ``to_json``; raises IntegrityError for anything else."""
        match fields:
            case {
                "format": "unseen-record-key-1" | "unseen-record-key-2" | "unseen-record-key-3" as kind,
                "collection_uid": str(uid),
                "name": str(name),
                "record_key": str(key),
                "keep_vectors": bool(keep_vectors),
                **rest,
            }:
                try:
                    record_key = base64.b64decode(key, validate=True)
                    store_uid = None if kind == FORMAT_WITHOUT_STORE else bytes.fromhex(str(rest["store_uid"]))
                    metric = _metric(rest) if kind == FORMAT_WITH_METRIC else (COSINE, 1.0)
                    return CollectionKey(bytes.fromhex(uid), name, record_key, keep_vectors, store_uid, *metric)
                except (ValueError, KeyError, InvalidInput) as error:
                    raise IntegrityError("a record key is damaged; import it again from an export") from error
        raise IntegrityError(f"expected a record key of format {FORMAT}; import it again from an export")


def _metric(fields: dict[object, object]) -> tuple[str, float]:
    """The metric of a key of the third format; raises KeyError or ValueError for what is none."""
    match fields:
        case {"metric": "dot" | "l2" | "l1" as metric, "longest": int() | float() as longest}:
            if not isinstance(longest, bool) and SHORTEST <= longest <= LARGEST:
                return str(metric), float(longest)
    raise ValueError("no metric")


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
        """Keep a key for good; on disk when this returns. The same key again is fine, another one is refused.

        A store that is known stays known when the same key comes again without it.
        """
        self.require_private()
        path = self._path(key.collection_uid)
        if path.exists():
            held = self.get(key.collection_uid)
            key = replace(key, store_uid=key.store_uid or held.store_uid)
            if replace(held, store_uid=key.store_uid, keep_vectors=key.keep_vectors) != key or (
                held.store_uid not in (None, key.store_uid)
            ):
                raise IntegrityError(
                    f"this device already holds another record key for collection {held.name!r}; kept that"
                )
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
            return CollectionKey.from_json(read_json(path.read_bytes()))
        except ValueError as error:
            raise IntegrityError(f"{path} is damaged; import the key again from an export") from error

    def readable(self, collection_uid: bytes) -> CollectionKey | None:
        """The key of a collection, or None when there is none or it is damaged."""
        try:
            return self.get(collection_uid)
        except (KeyMissing, IntegrityError):
            return None

    def forget(self, collection_uid: bytes) -> None:
        """Destroy the key of a deleted collection; nothing happens when there is none."""
        self._path(collection_uid).unlink(missing_ok=True)

    def all(self) -> list[CollectionKey]:
        """Every key held, by name; files that are no keys by their names are passed over."""
        if not self._folder.exists():
            return []
        keys = (self.get(bytes.fromhex(path.stem)) for path in self._folder.iterdir() if KEY_FILE.fullmatch(path.name))
        return sorted(keys, key=lambda key: key.name)

    def _path(self, collection_uid: bytes) -> Path:
        return self._folder / f"{collection_uid.hex()}.json"
