"""What the device keeps of agreements and of the controller's key: whole, for its owner alone, or refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from unseen.errors import (
    AlreadyExists,
    ControllerChanged,
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    KeyMissing,
    Mismatch,
)
from unseen_client.agreements import Accepted, Agreements
from unseen_client.keys.controller_keys import ControllerKeys

UID = bytes(range(16))
KEY, OTHER = bytes(range(32)), bytes(32)


def accepted(version: int) -> Accepted:
    return Accepted(version, bytes([version]) * 32, "a receipt")


def test_what_was_accepted_is_read_back_and_the_newest_word_counts(home: Path) -> None:
    agreements = Agreements(home)
    assert agreements.of(UID) is None
    agreements.accept(UID, KEY, accepted(1))
    agreements.accept(UID, KEY, accepted(2))
    agreements.accept(UID, KEY, accepted(1))
    found = Agreements(home).of(UID)
    assert found is not None
    assert [one.version for one in found.accepted] == [2, 1]
    assert found.has(bytes([2]) * 32)
    assert not found.has(bytes(32))
    found.require_controller(KEY)
    found.require_no_older(2)
    with pytest.raises(ControllerChanged):
        found.require_controller(OTHER)
    with pytest.raises(Mismatch):
        found.require_no_older(1)
    agreements.accept(UID, OTHER, accepted(3))
    again = agreements.of(UID)
    assert again is not None
    assert (again.controller_key, len(again.accepted)) == (OTHER, 1)
    agreements.forget(UID)
    agreements.forget(UID)
    assert agreements.of(UID) is None


def test_files_are_for_their_owner_alone(home: Path) -> None:
    agreements = Agreements(home)
    agreements.accept(UID, KEY, accepted(1))
    agreements.keep_certificate(UID, UID, b"a certificate")
    ControllerKeys(home).make("controller")
    paths = list(home.rglob("*"))
    assert len([path for path in paths if path.suffix != ".lock" and path.is_file()]) == 3
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    (home / "agreements" / f"{UID.hex()}.json").chmod(0o644)
    (home / "controller-keys" / "controller.json").chmod(0o640)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        agreements.of(UID)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        ControllerKeys(home).get("controller")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"unseen-", b"other-"),
        lambda data: data.replace(b'"controller_key"', b'"key"').replace(b'"private_key"', b'"key"'),
        lambda data: b"[]",
        lambda data: b"\xff",
    ],
)
def test_damaged_files_are_said_to_be_damaged(home: Path, damage) -> None:
    agreements, keys = Agreements(home), ControllerKeys(home)
    agreements.accept(UID, KEY, accepted(1))
    keys.make("controller")
    for path in (home / "agreements" / f"{UID.hex()}.json", home / "controller-keys" / "controller.json"):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(IntegrityError):
        agreements.of(UID)
    with pytest.raises(IntegrityError):
        keys.get("controller")


def test_a_controllers_key_is_made_once_and_found_by_its_name(home: Path) -> None:
    keys = ControllerKeys(home)
    with pytest.raises(KeyMissing, match="keygen"):
        keys.get("controller")
    made = keys.make("controller")
    assert keys.get("controller") == made
    assert keys.make("other").key.public_key != made.key.public_key
    with pytest.raises(AlreadyExists):
        keys.make("controller")
    for name in ("", "../escape", "a/b", "x" * 65, "-x"):
        with pytest.raises(InvalidInput):
            keys.make(name)
