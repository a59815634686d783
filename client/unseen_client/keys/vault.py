"""The vault: how the key files of a device lie on its disk. In the clear, under a passphrase, or under a secret that
the operating system's keyring holds.

    key-store.json     the vault key (32 random bytes), wrapped by scrypt of the passphrase or by the keyring's secret
    keys/*.json, controller-keys/*.json, keys-given/*.json, site-key.json, device-key.json
                       each sealed under the vault key and bound to its place; in the clear where there is no
                       key-store.json

A file is replaced whole or not at all. Another passphrase replaces key-store.json alone, so after a crash in the middle
the old one opens everything, or the new one. The first protection writes key-store.json before it seals the files one
by one; until all are sealed it says so, and the next opening goes on. From then on a file in the clear is refused:
somebody put it there. Whoever reads the memory of a process that has opened the vault has the keys.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from unseen import envelope
from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES
from unseen.errors import IntegrityError, InvalidConfiguration, SealBroken, WrongKey
from unseen.json_text import read_json
from unseen_client.home import (
    destroy_private,
    private_folder,
    refuse_others,
    write_new_private,
    write_over_private,
    write_private,
)
from unseen_client.keys import keyring_secret
from unseen_client.keys.passphrase import VARIABLE, PassphraseSource, Stretching, found, given, require_long_enough

FILE_NAME = "key-store.json"
FORMAT = "unseen-key-store-1"
NOTHING = "nothing"
SEALED_FORMAT = "unseen-sealed-file-1"
HELD = ("keys/*.json", "controller-keys/*.json", "keys-given/*.json", "site-key.json", "device-key.json")
"""The files that hold secrets, by their names below the home."""
_UNFINISHED = (".*-key.json.*", *(f"{pattern.partition('/')[0]}/.*.json.*" for pattern in HELD if "/" in pattern))
"""The same before ``home.write_private`` has given them their names."""


class Vault:
    """Reads and writes key files below one home. Safe to share between threads; opened at the first need, once."""

    def __init__(self, home: Path, passphrase: PassphraseSource = None) -> None:
        self._home = home
        self._path = home / FILE_NAME
        self._passphrase = passphrase
        self._key: bytes | None = None
        self._lock = threading.RLock()

    @property
    def protection(self) -> str:
        """What the key files lie under: NOTHING, "passphrase" or "keyring"."""
        return str(self._read_head()["kind"]) if self._path.exists() else NOTHING

    def open(self) -> None:
        """Ask for what opens the vault now rather than later; nothing happens where it is not protected."""
        if self._path.exists():
            self._opened()

    def lock(self) -> None:
        """Open the vault, or put what lies in the clear under the passphrase that is given: for keys that never lie so.

        Raises InvalidConfiguration where none is given, InvalidInput for one that is too short, WrongKey.
        """
        if self.protection != NOTHING:
            self._opened()
            return
        passphrase = given(self._passphrase)
        if passphrase is None:
            raise InvalidConfiguration(
                "the key of an owner-encrypted collection never lies in the clear: run `unseen keys protect keyring` "
                f"or `unseen keys protect passphrase` first, or give Client(passphrase=...) or {VARIABLE}"
            )
        self.protect_with_passphrase(passphrase)

    def read(self, path: Path) -> bytes:
        """What a key file holds, opened where it is sealed.

        Raises WrongKey without the passphrase, IntegrityError for a damaged file or one that others put there,
        InvalidConfiguration when others can reach it.
        """
        refuse_others(path, "600")
        data = path.read_bytes()
        sealed = _sealed_in(data)
        if sealed is not None:
            return self._open(path, sealed)
        if self._path.exists() and self._opened() and self._read_head()["complete"]:
            raise IntegrityError(
                f"{path} lies in the clear, and the keys of this device are under a {self.protection}: somebody put it "
                "there. If that was you, `unseen keys protect` seals it; else remove it"
            )
        return data

    def write(self, path: Path, document: bytes) -> None:
        """Put a document at ``path``, sealed where the vault is protected; on disk when this returns."""
        write_private(path, self._as_kept(path, document))

    def write_new(self, path: Path, document: bytes) -> None:
        """The same under a name that nothing has yet; raises AlreadyExists."""
        write_new_private(path, self._as_kept(path, document))

    # Protecting

    def protect_with_passphrase(self, passphrase: str, *, cost: int | None = None) -> None:
        """Put the key files under a passphrase, or under another one; on disk when this returns.

        What they were under before has to be there, and opens them no more afterwards. Raises InvalidInput for a
        passphrase that is too short, WrongKey for a wrong old one: nothing is changed then.
        """
        require_long_enough(passphrase)
        stretching = Stretching.make() if cost is None else Stretching(Stretching.make().salt, cost)
        self._protect({"kind": "passphrase", "scrypt": stretching.to_json()}, stretching.key(passphrase))
        self._passphrase = passphrase

    def protect_with_keyring(self) -> None:
        """Put the key files under a secret that the operating system keeps; InvalidConfiguration if it keeps none."""
        entry, secret = secrets.token_hex(16), random_bytes(KEY_BYTES)
        keyring_secret.keep(entry, secret)
        self._protect({"kind": "keyring", "entry": entry}, secret)

    def _protect(self, head: dict[str, object], master: bytes) -> None:
        with self._lock:
            private_folder(self._home)
            before = self._read_head() if self._path.exists() else None
            self._key = random_bytes(KEY_BYTES) if before is None else self._opened()
            self._write_head(head, master, complete=False)
            self._seal_all()
            self._write_head(head, master, complete=True)
            if before is not None and before["kind"] == "keyring":
                keyring_secret.forget(str(before["entry"]))

    def _seal_all(self) -> None:
        """Seal what lies in the clear, and overwrite that; also what a crash left of a file that was being written."""
        for path in self._found(HELD):
            data = path.read_bytes()
            if _sealed_in(data) is None:
                write_over_private(path, self._sealed(path, data))
        for path in self._found(_UNFINISHED):
            destroy_private(path)

    def _found(self, patterns: Iterable[str]) -> Iterator[Path]:
        for pattern in patterns:
            yield from sorted(self._home.glob(pattern))

    # Opening

    def _opened(self) -> bytes:
        """The vault key; asks for the passphrase at the first time."""
        with self._lock:
            if self._key is None:
                head = self._read_head()
                master = self._master(head)
                try:
                    key = envelope.unwrap_key(master, self._wrapped(head), _wrapping(bool(head["complete"])))
                except WrongKey as error:
                    raise WrongKey(
                        f"the {head['kind']} does not open the keys of this device; nothing was changed, try again"
                    ) from error
                except SealBroken as error:
                    raise self._damaged() from error
                self._key = key
                if not head["complete"]:  # a crash came between
                    self._seal_all()
                    self._write_head(
                        {name: head[name] for name in ("kind", "scrypt", "entry") if name in head},
                        master,
                        complete=True,
                    )
            return self._key

    def _master(self, head: dict[str, object]) -> bytes:
        if head["kind"] == "keyring":
            return keyring_secret.fetch(str(head["entry"]))
        try:
            stretching = Stretching.from_json(head["scrypt"])
        except ValueError as error:
            raise self._damaged() from error
        return stretching.key(found(self._passphrase))

    def _read_head(self) -> dict[str, object]:
        refuse_others(self._path, "600")
        try:
            head = read_json(self._path.read_bytes())
        except ValueError as error:
            raise self._damaged() from error
        match head:
            case {"format": "unseen-key-store-1", "complete": bool(), "wrapped_key": str(), **rest}:
                match rest:
                    case {"kind": "passphrase", "scrypt": dict()} | {"kind": "keyring", "entry": str()}:
                        return dict(head)
        raise self._damaged()

    def _write_head(self, head: dict[str, object], master: bytes, *, complete: bool) -> None:
        wrapped = envelope.wrap_key(master, self._opened(), _wrapping(complete))
        fields = head | {
            "format": FORMAT,
            "complete": complete,
            "wrapped_key": base64.b64encode(wrapped).decode("ascii"),
        }
        write_over_private(self._path, json.dumps(fields, indent=1, sort_keys=True).encode())

    def _wrapped(self, head: dict[str, object]) -> bytes:
        try:
            return base64.b64decode(str(head["wrapped_key"]), validate=True)
        except ValueError as error:
            raise self._damaged() from error

    def _damaged(self) -> IntegrityError:
        return IntegrityError(
            f"{self._path} is damaged, or of a newer release, and without it no key of this device opens; put a copy "
            "of it back, or import the keys from their exports into a new home"
        )

    # Sealing

    def _as_kept(self, path: Path, document: bytes) -> bytes:
        return self._sealed(path, document) if self._path.exists() else document

    def _sealed(self, path: Path, document: bytes) -> bytes:
        sealed = envelope.seal(self._opened(), document, self._place(path))
        fields = {"format": SEALED_FORMAT, "sealed": base64.b64encode(sealed).decode("ascii")}
        return json.dumps(fields, indent=1, sort_keys=True).encode()

    def _open(self, path: Path, sealed: bytes) -> bytes:
        if not self._path.exists():
            raise IntegrityError(f"{path} is sealed and {self._path} is not there; put a copy of that back")
        try:
            return envelope.open_sealed(self._opened(), sealed, self._place(path))
        except SealBroken as error:
            raise IntegrityError(f"{path} was altered or moved; put a copy back, or import the key again") from error

    def _place(self, path: Path) -> bytes:
        return envelope.context("key store file", path.relative_to(self._home).as_posix())


def _wrapping(complete: bool) -> bytes:
    return envelope.context("key store", FORMAT, int(complete))


def _sealed_in(data: bytes) -> bytes | None:
    """The sealed bytes of a file, None for one in the clear or what is no JSON: its reader refuses that."""
    try:
        match read_json(data):
            case {"format": "unseen-sealed-file-1", "sealed": str(sealed)}:
                return base64.b64decode(sealed)
    except ValueError:
        return None
    return None
