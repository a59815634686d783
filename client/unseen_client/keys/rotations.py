"""Rotations that this device has begun and not yet ended: which collection takes the place of which. No keys in it.

A note lies in ``home/rotations`` from before the first row is carried over until after the old key is destroyed, so
that whoever runs the rotation again after a stop goes on at the right place, and never takes a finished one for a new
one or the other way round. It says whether every row was there, so that no server's word ends one before that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import IntegrityError
from unseen.json_text import read_json
from unseen.types import UID_BYTES
from unseen_client.home import private_folder, write_private

FORMAT = "unseen-rotation-1"


@dataclass(frozen=True)
class Rotation:
    """One collection on its way into the place of another."""

    store_uid: bytes
    name: str
    old_uid: bytes
    new_uid: bytes
    is_asked: bool = False
    """Whether the new one held every row, and the server was asked to put it in place."""


class Rotations:
    """By the new collection's uid."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "rotations"

    def note(self, rotation: Rotation) -> None:
        """Write one down; on disk when this returns."""
        private_folder(self._home)
        private_folder(self._folder)
        fields = {
            "format": FORMAT,
            "store_uid": rotation.store_uid.hex(),
            "name": rotation.name,
            "old_uid": rotation.old_uid.hex(),
            "new_uid": rotation.new_uid.hex(),
            "is_asked": rotation.is_asked,
        }
        write_private(self._path(rotation), json.dumps(fields, indent=1, sort_keys=True).encode())

    def of(self, store_uid: bytes, name: str) -> Rotation | None:
        """The one that was begun for a collection of this name; None when there is none."""
        if not self._folder.exists():
            return None
        begun = [self._read(path) for path in sorted(self._folder.glob("*.json"))]
        return next((one for one in begun if (one.store_uid, one.name) == (store_uid, name)), None)

    def forget(self, rotation: Rotation) -> None:
        """It has ended."""
        self._path(rotation).unlink(missing_ok=True)

    def _read(self, path: Path) -> Rotation:
        try:
            match read_json(path.read_bytes()):
                case {
                    "format": "unseen-rotation-1",
                    "store_uid": str(store_uid),
                    "name": str(name),
                    "old_uid": str(old_uid),
                    "new_uid": str(new_uid),
                    "is_asked": bool(is_asked),
                }:
                    uids = [bytes.fromhex(uid) for uid in (store_uid, old_uid, new_uid)]
                    if all(len(uid) == UID_BYTES for uid in uids):
                        return Rotation(uids[0], name, uids[1], uids[2], is_asked)
        except ValueError as error:
            raise IntegrityError(f"{path} is damaged; remove it, and rotate the key again") from error
        raise IntegrityError(
            f"{path} is of a newer release of Unseen, or damaged; use that release, or remove it, and rotate the key "
            "again"
        )

    def _path(self, rotation: Rotation) -> Path:
        return self._folder / f"{rotation.new_uid.hex()}.json"
