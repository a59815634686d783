"""A collection's key wrapped to one other device: a file that may travel in the open.

Bound by HPKE's info to the store, the collection, the key and the device, so that none of them can be swapped. It does
not prove who wrapped it: whoever accepts one compares the key's id with the colleague who sent it. Format in
``docs/formats.md``. What the file says in the clear: the uids of store and collection, the key's id, which device.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

from unseen import envelope
from unseen.errors import IntegrityError, InvalidInput, WrongKey
from unseen.json_text import read_json
from unseen_client.keys.device_key import DeviceKey, DevicePublicKey
from unseen_client.keys.key_export import read_small
from unseen_client.keys.keystore import CollectionKey

FORMAT = "unseen-shared-key-1"
_HEX = re.compile("[0-9a-f]{16,32}")


@dataclass(frozen=True)
class _Head:
    """What stands in the clear, and what the wrapping is bound to."""

    store_uid: str
    collection_uid: str
    key_id: str
    device: str

    @property
    def info(self) -> bytes:
        return envelope.context("shared key", FORMAT, self.store_uid, self.collection_uid, self.key_id, self.device)


def share_key(key: CollectionKey, to: DevicePublicKey) -> bytes:
    """The file's bytes."""
    head = _head_of(key, to)
    sealed = to.wrap(json.dumps(key.to_json(), sort_keys=True).encode(), head.info)
    fields = {"format": FORMAT, **vars(head), "sealed": base64.b64encode(sealed).decode("ascii")}
    return json.dumps(fields, indent=1, sort_keys=True).encode() + b"\n"


def accept_key(path: Path, device: DeviceKey) -> CollectionKey:
    """The key in such a file; raises WrongKey when it is for another device, IntegrityError for another file."""
    head, sealed = _parsed(read_small(path))
    if head.device != device.public.fingerprint:
        raise WrongKey(
            f"this key was wrapped to the device {head.device}, and this one is {device.public.fingerprint}; have it "
            "shared to what `unseen keys device` prints here"
        )
    plain = device.unwrap(sealed, head.info)
    try:
        key = CollectionKey.from_json(read_json(plain))
    except ValueError as error:
        raise IntegrityError("the shared key opened but holds no key; have it shared again") from error
    if _head_of(key, device.public) != head:
        raise IntegrityError("the shared key opened and is another one than its file says; do not trust who sent it")
    return key


def _head_of(key: CollectionKey, to: DevicePublicKey) -> _Head:
    if key.store_uid is None:
        raise InvalidInput(f"the key of {key.name!r} does not say which server it is for; use `unseen keys export`")
    return _Head(key.store_uid.hex(), key.collection_uid.hex(), key.key_id, to.fingerprint)


def _parsed(data: bytes) -> tuple[_Head, bytes]:
    try:
        match read_json(data):
            case {
                "format": "unseen-shared-key-1",
                "store_uid": str(store_uid),
                "collection_uid": str(collection_uid),
                "key_id": str(key_id),
                "device": str(device),
                "sealed": str(sealed),
            }:
                head = _Head(store_uid, collection_uid, key_id, device)
                if not all(map(_HEX.fullmatch, (store_uid, collection_uid, key_id, device))):
                    raise ValueError("no hex digits")
                return head, base64.b64decode(sealed, validate=True)
    except ValueError as error:
        raise IntegrityError("the file is no shared key; give the one that `unseen keys share` wrote") from error
    raise IntegrityError(f"expected a shared key of format {FORMAT}; this is another file or a newer format")
