"""The device's key store: one file per collection with the record key that its members share. Never sent anywhere.

Whoever holds a key reads the names, captions, tags and thumbnails of its collection; a device without it can neither
enrol into the collection nor tell what a hit is. How the files lie on disk is the vault's doing: under a passphrase,
the system's keyring, or as safe as the account that owns them (``docs/threat-model.md``). ``key_export``,
``shared_key`` and ``recovery_sheet`` hand keys to another device.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from unseen.entropy import random_bytes
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, KeyMissing, Mismatch, WrongKey
from unseen.json_text import read_json
from unseen.types import UID_BYTES
from unseen_client.home import private_folder
from unseen_client.keys.vault import NOTHING, Vault

KEY_BYTES = 32
KEY_FILE = re.compile(rf"[0-9a-f]{{{2 * UID_BYTES}}}\.json")
FORMAT = "unseen-record-key-2"
FORMAT_WITHOUT_STORE = "unseen-record-key-1"
FORMAT_WITH_METRIC = "unseen-record-key-3"
FORMAT_WITH_OWNER_KEY = "unseen-record-key-4"
COSINE = "cosine"
METRICS = (COSINE, "dot", "l2", "l1")
KEY_ID_BYTES = 8
ROTATING = ".rotating"
"""Added to its name, the name of the collection that takes its place while a key is rotated."""
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
    owner_key: bytes | None = field(default=None, repr=False)
    """Encrypts the rows of an owner-encrypted collection: whoever holds it holds the index. None for a sealed one."""

    def __post_init__(self) -> None:
        uids = (self.collection_uid, self.store_uid or bytes(UID_BYTES))
        if any(len(uid) != UID_BYTES for uid in uids) or len(self.record_key) != KEY_BYTES:
            raise InvalidInput(f"a collection key is uids of {UID_BYTES} bytes and a key of {KEY_BYTES} bytes")
        if self.owner_key is not None and len(self.owner_key) != KEY_BYTES:
            raise InvalidInput(f"an owner key has {KEY_BYTES} bytes")
        if self.owner_key is not None and (self.store_uid is None or self.metric != COSINE or not self.keep_vectors):
            raise InvalidInput("an owner-encrypted collection is compared by cosine, keeps vectors and names its store")
        if self.metric != COSINE and self.store_uid is None:
            raise InvalidInput("a key with another metric than cosine names the store that its collection is in")
        if self.metric not in METRICS or not SHORTEST <= self.longest <= LARGEST:
            raise InvalidInput(
                f"a key's metric is one of {', '.join(METRICS)}, and its longest vector is from {SHORTEST:g} to "
                f"{LARGEST:g} long"
            )

    @staticmethod
    def make(
        collection_uid: bytes,
        name: str,
        *,
        keep_vectors: bool,
        store_uid: bytes | None = None,
        metric: str = COSINE,
        longest: float = 1.0,
        owner_key: bytes | None = None,
    ) -> CollectionKey:
        """A fresh key for a collection just created; the owner key, if there is one, is made where it is used."""
        record_key = random_bytes(KEY_BYTES)
        return CollectionKey(collection_uid, name, record_key, keep_vectors, store_uid, metric, longest, owner_key)

    @property
    def key_id(self) -> str:
        """Sixteen hex digits that tell keys apart and say nothing about them: for people to compare."""
        both = b"unseen key id" + (self.owner_key or b"")
        return hmac.digest(self.record_key, both, "sha256")[:KEY_ID_BYTES].hex()

    def require_right(self, name: str, store_uid: bytes) -> None:
        """Refuse what a server calls by this key's uid when it is another collection; raises Mismatch."""
        if name not in (self.name, self.name + ROTATING):
            raise Mismatch(
                f"asked for collection {name!r}, the server named the uid of {self.name!r}, whose record key is not "
                "for it; nothing was sent. Do not trust this server"
            )
        if self.store_uid not in (None, store_uid):
            raise Mismatch(
                f"the record key of collection {name!r} belongs to another store than this server's; nothing was sent. "
                "Connect to the server that the collection was made on"
            )

    def require_protection(self, is_owner: bool) -> None:
        """Refuse a server that says of an owner-encrypted collection that it is sealed, or the other way round.

        A device that believed it would send vectors in a form that the server can read. Raises Mismatch.
        """
        if is_owner != (self.owner_key is not None):
            says, holds = ("owner-encrypted", "sealed") if is_owner else ("sealed", "owner-encrypted")
            raise Mismatch(
                f"the server says that collection {self.name!r} is {says}, this device's key is for one that is "
                f"{holds}; nothing was sent. Do not trust this server"
            )

    def to_json(self) -> dict[str, object]:
        """The key as it is kept and exported: without a store in the first format, for another metric in the third.

        With an owner key in the fourth. Releases that know no metric, or no owner keys, refuse theirs.
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
        if self.owner_key is not None:
            owner_key = base64.b64encode(self.owner_key).decode("ascii")
            fields |= {"format": FORMAT_WITH_OWNER_KEY, "owner_key": owner_key}
        return fields

    @staticmethod
    def from_json(fields: object) -> CollectionKey:
        """The inverse of ``to_json``; raises IntegrityError for anything else."""
        match fields:
            case {
                "format": "unseen-record-key-1"
                | "unseen-record-key-2"
                | "unseen-record-key-3"
                | "unseen-record-key-4" as kind,
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
                    owner_key = None
                    if kind == FORMAT_WITH_OWNER_KEY:
                        owner_key = base64.b64decode(str(rest["owner_key"]), validate=True)
                    uid_bytes = bytes.fromhex(uid)
                    return CollectionKey(uid_bytes, name, record_key, keep_vectors, store_uid, *metric, owner_key)
                except (ValueError, KeyError, InvalidInput) as error:
                    raise IntegrityError("a record key is damaged; import it again from an export") from error
        raise IntegrityError(f"expected a record key of format {FORMAT}; import it again from an export")


def _metric(fields: dict[object, object]) -> tuple[str, float]:
    """The metric of a key of the third format; raises KeyError or ValueError for what is none."""
    match fields:
        case {"metric": str(metric), "longest": int() | float() as longest}:
            if metric != COSINE and not isinstance(longest, bool) and SHORTEST <= longest <= LARGEST:
                return metric, float(longest)
    raise ValueError("no metric")


class KeyStore:
    """Record keys by collection uid in ``home/keys``."""

    def __init__(self, home: Path, vault: Vault | None = None) -> None:
        """``vault``: the one that all keys of this home share; by default one that finds its passphrase itself."""
        self._home = home
        self._folder = home / "keys"
        self.vault = vault or Vault(home)

    def require_private(self, *, protected: bool = False) -> None:
        """Make the folder, or refuse one that others can reach or that does not open: before anything depends on it.

        ``protected``: for an owner key, which never lies in the clear; where a passphrase is given, every secret file
        of this device is put under it first. Raises InvalidConfiguration, InvalidInput, WrongKey.
        """
        private_folder(self._home)
        private_folder(self._folder)
        if protected:
            self.vault.open_or_protect()
        else:
            self.vault.open()

    def put(self, key: CollectionKey) -> None:
        """Keep a key for good; on disk when this returns. The same key again is fine, another one is refused.

        A store that is known stays known when the same key comes again without it.
        """
        self.require_private(protected=key.owner_key is not None)
        path = self._path(key.collection_uid)
        with self.vault.alone():
            if path.exists():
                held = self.get(key.collection_uid)
                key = replace(key, store_uid=key.store_uid or held.store_uid)
                if replace(held, store_uid=key.store_uid, keep_vectors=key.keep_vectors) != key or (
                    held.store_uid not in (None, key.store_uid)
                ):
                    raise IntegrityError(
                        f"this device already holds another record key for collection {held.name!r}; kept that"
                    )
            self.vault.write(path, json.dumps(key.to_json(), indent=1, sort_keys=True).encode())

    def get(self, collection_uid: bytes, name: str = "") -> CollectionKey:
        """The key of a collection; raises KeyMissing, and IntegrityError for a damaged file.

        An owner key that lies in the clear is refused with InvalidConfiguration.
        """
        path = self._path(collection_uid)
        if not path.exists():
            raise KeyMissing(
                f"this device holds no record key for collection {name or collection_uid.hex()!r}; on a device that "
                f"has it run `unseen keys export {name or 'NAME'} FILE`, then here `unseen keys import FILE`"
            )
        self.require_private()
        data = self.vault.read(path)
        try:
            key = CollectionKey.from_json(read_json(data))
        except ValueError as error:
            raise IntegrityError(f"{path} is damaged; import the key again from an export") from error
        if key.owner_key is not None and self.vault.protection == NOTHING:
            raise InvalidConfiguration(
                f"{path} holds the key of an owner-encrypted collection in the clear, where it is not used; put the "
                "keys of this device under a lock: `unseen keys protect passphrase` or `unseen keys protect keyring`"
            )
        return key

    def readable(self, collection_uid: bytes) -> CollectionKey | None:
        """The key of a collection, or None when there is none or it is damaged; WrongKey without the passphrase."""
        try:
            return self.get(collection_uid)
        except WrongKey:
            raise
        except (KeyMissing, IntegrityError):
            return None

    def named(self, name: str) -> CollectionKey:
        """The key of the collection with this name, or with this uid where names repeat; KeyMissing, InvalidInput."""
        held = [key for key in self.all() if name in (key.name, key.collection_uid.hex())]
        if not held:
            raise KeyMissing(f"this device holds no record key for {name!r}; `unseen keys list` shows those it holds")
        if len(held) > 1:
            uids = ", ".join(key.collection_uid.hex() for key in held)
            raise InvalidInput(f"{len(held)} collections are named {name!r}; give the uid instead: {uids}")
        return held[0]

    def forget(self, collection_uid: bytes) -> None:
        """Destroy the key of a deleted collection, for good when this returns; nothing happens when there is none."""
        self.vault.destroy(self._path(collection_uid))

    def all(self) -> list[CollectionKey]:
        """Every key held, by name; files that are no keys by their names are passed over."""
        if not self._folder.exists():
            return []
        keys = (self.get(bytes.fromhex(path.stem)) for path in self._folder.iterdir() if KEY_FILE.fullmatch(path.name))
        return sorted(keys, key=lambda key: key.name)

    def _path(self, collection_uid: bytes) -> Path:
        return self._folder / f"{collection_uid.hex()}.json"
