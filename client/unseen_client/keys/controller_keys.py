"""A controller's signing keys, on the steward's device only: whoever holds one can set the agreements signed with it.

``controller-keys/<name>.json`` below the device's home. Back the file up: without it no later version of a policy can
be signed that members' devices accept without asking.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import AlreadyExists, IntegrityError, InvalidInput, KeyMissing
from unseen.governance.keys import KeyPair
from unseen.json_text import read_json
from unseen_client.home import private_folder
from unseen_client.keys.vault import Vault

FORMAT = "unseen-controller-key-1"
DEFAULT_NAME = "controller"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ControllerKey:
    """A key by its name on this device."""

    name: str
    key: KeyPair


class ControllerKeys:
    """By name, in ``home/controller-keys``."""

    def __init__(self, home: Path, vault: Vault | None = None) -> None:
        """``vault``: the one that all keys of this home share; by default one that finds its passphrase itself."""
        self._home = home
        self._vault = vault or Vault(home)
        self._folder = home / "controller-keys"

    def make(self, name: str) -> ControllerKey:
        """A fresh one, on disk when this returns; AlreadyExists rather than losing one."""
        path = self._path(name)
        private_folder(private_folder(self._home) / self._folder.name)
        made = ControllerKey(name, KeyPair.make())
        document = {
            "format": FORMAT,
            "name": name,
            "private_key": base64.b64encode(made.key.private_key).decode("ascii"),
        }
        try:
            self._vault.write_new(path, json.dumps(document, indent=1, sort_keys=True).encode())
        except AlreadyExists as error:
            raise AlreadyExists(
                f"this device holds a controller key named {name!r} already; choose another name"
            ) from error
        return made

    def get(self, name: str) -> ControllerKey:
        """The key of this name; KeyMissing, IntegrityError for a damaged file."""
        path = self._path(name)
        if not path.exists():
            raise KeyMissing(f"this device holds no controller key named {name!r}; `unseen policy keygen` makes one")
        data = self._vault.read(path)
        try:
            match read_json(data):
                case {"format": "unseen-controller-key-1", "private_key": str(private_key)}:
                    return ControllerKey(name, KeyPair(base64.b64decode(private_key, validate=True)))
        except (ValueError, InvalidInput) as error:
            raise IntegrityError(f"{path} is damaged; restore it from your backup") from error
        raise IntegrityError(f"{path} is not a controller key of format {FORMAT}")

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidInput('a key\'s name is 1 to 64 letters, digits and "._-"')
        return self._folder / f"{name}.json"
