"""The keys of a device: how they lie on its disk, and how they come from another one or from paper."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from unittest import mock

from bench.fuzz.target import Target
from bench.fuzz.targets.device_files import Home
from bench.fuzz.targets.keys import cheap
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, WrongKey
from unseen_client.keys.device_key import DeviceKey, DevicePublicKey, device_key
from unseen_client.keys.given_keys import GivenKeys
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.passphrase import Stretching
from unseen_client.keys.recovery_sheet import key_of, sheets
from unseen_client.keys.rotations import Rotations
from unseen_client.keys.shared_key import accept_key, share_key
from unseen_client.keys.vault import Vault
from unseen_client.keys.vault_head import FILE_NAME

UID, KEY, PASSPHRASE = bytes(range(16)), bytes(range(32)), "a passphrase"
HELD = CollectionKey(UID, "scans", KEY, True, UID, owner_key=KEY)
NAME = f"{UID.hex()}.json"


def opened_vault(home: Path) -> None:
    with mock.patch.object(Stretching, "key", cheap):
        Vault(home, PASSPHRASE).open()


def all_given(home: Path) -> None:
    assert len(GivenKeys(home, Vault(home)).all()) == 1


def of_paper(data: bytes) -> None:
    assert key_of([data.decode("utf-8", "replace")]) == HELD


def public_key(data: bytes) -> None:
    text = data.decode("ascii", "replace")
    assert DevicePublicKey.parse(text).text.rstrip("=") == text.strip().rstrip("=")


VAULT = Home(FILE_NAME, opened_vault)
Vault(VAULT.path).protect_with_passphrase(PASSPHRASE, cost=2)
SEALED = Home(f"keys/{NAME}", lambda home: KeyStore(home, SEALED_VAULT).get(UID))
SEALED_VAULT: Vault = Vault(SEALED.path, PASSPHRASE)
SEALED_VAULT.protect_with_passphrase(PASSPHRASE, cost=2)
KeyStore(SEALED.path, SEALED_VAULT).put(HELD)
DEVICE = Home("device-key.json", lambda home: device_key(home, Vault(home)).public)
MINE: DeviceKey = device_key(DEVICE.path, Vault(DEVICE.path))
SHARED = Home("shared", lambda home: accept_key(home / "shared", MINE))
GIVEN = Home("keys-given/one.json", all_given)
GivenKeys(GIVEN.path, Vault(GIVEN.path)).note(HELD, "file", "there", "", 1.0)
(NOTE,) = GivenKeys(GIVEN.path, Vault(GIVEN.path)).all()
for written in (GIVEN.path / "keys-given").iterdir():
    written.unlink()
ROTATING = Home("rotations/one.json", lambda home: Rotations(home).of(UID, "scans"))
ROTATION = {"format": "unseen-rotation-1", "name": "scans", "is_asked": True} | {
    name: UID.hex() for name in ("store_uid", "old_uid", "new_uid")
}

TARGETS = (
    Target("client.vault.open", VAULT.read, (IntegrityError, InvalidConfiguration), (VAULT.content(),), is_json=True),
    Target("client.vault.read", SEALED.read, (IntegrityError,), (SEALED.content(),), is_json=True),
    Target("client.device_key", DEVICE.read, (IntegrityError,), (DEVICE.content(),), is_json=True),
    Target("client.device_key.parse", public_key, (InvalidInput,), (MINE.public.text.encode(),)),
    Target(
        "client.shared_key.accept_key",
        SHARED.read,
        (IntegrityError, WrongKey),
        (share_key(HELD, MINE.public),),
        most_bytes=8192,
        is_json=True,
    ),
    Target(
        "client.given_keys",
        GIVEN.read,
        (IntegrityError,),
        (json.dumps({"format": "unseen-key-given-1", **asdict(NOTE)}).encode(),),
        is_json=True,
    ),
    Target("client.rotations", ROTATING.read, (IntegrityError,), (json.dumps(ROTATION).encode(),), is_json=True),
    Target("client.recovery_sheet", of_paper, (IntegrityError, InvalidInput), (sheets(HELD)[0].encode(),)),
)
