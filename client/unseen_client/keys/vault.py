"""The vault: how the key files of a device lie on its disk. In the clear, under a passphrase, or under a secret that
the operating system's keyring holds.

    key-store.json     the vault key (32 random bytes), wrapped by scrypt of the passphrase or by the keyring's secret
    key-store.lock     held by the process that writes, seals or destroys any of these files; empty
    keys/*.json, controller-keys/*.json, keys-given/*.json, site-key.json, device-key.json
                       each sealed under the vault key and bound to its place; in the clear where there is no
                       key-store.json

A file is replaced whole or not at all. Another passphrase replaces key-store.json alone, so after a crash in the middle
the old one opens everything, or the new one. The first protection writes key-store.json before it seals the files one
by one; until all are sealed it says so, and the next opening goes on. From then on a file in the clear is refused:
somebody put it there. Whoever reads the memory of a process that has opened the vault has the keys.

Several processes may use one home. The first of two that protect it at once draws the vault key, and it is never drawn
again; what a third was writing in the clear is there before the files are sealed, and is sealed with them.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from unseen import envelope
from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES
from unseen.errors import AlreadyExists, IntegrityError, InvalidConfiguration, SealBroken, WrongKey
from unseen.json_text import read_json
from unseen_client.home import (
    destroy_private,
    locked,
    private_folder,
    refuse_others,
    write_new_private,
    write_over_private,
    write_private,
)
from unseen_client.keys import keyring_secret
from unseen_client.keys.passphrase import VARIABLE, PassphraseSource, Stretching, chosen, found, require_long_enough
from unseen_client.keys.vault_head import FILE_NAME, Opener, VaultHead

LOCK_NAME = "key-store.lock"
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
        self._is_alone = False
        """Whether this vault holds the lock file; under ``_lock``."""

    @property
    def protection(self) -> str:
        """What the key files lie under: NOTHING, "passphrase" or "keyring"."""
        return self._read_head().kind if self._path.exists() else NOTHING

    def open(self) -> None:
        """Ask for what opens the vault now rather than later; nothing happens where it is not protected."""
        if self._path.exists():
            self._opened()

    def open_or_protect(self) -> None:
        """Open the vault, or put what lies in the clear under the passphrase that is given: for keys that never lie so.

        Raises InvalidConfiguration where none is given, InvalidInput for one that is too short or where its function
        gives two, WrongKey where it does not open what is there.
        """
        with self._lock:
            if self._path.exists():
                self._opened()
                return
            passphrase = chosen(self._passphrase)
            if passphrase is None:
                raise InvalidConfiguration(
                    "the key of an owner-encrypted collection never lies in the clear: run `unseen keys protect "
                    "keyring` or `unseen keys protect passphrase` first, or give Client(passphrase=...) or "
                    f"{VARIABLE}"
                )
            try:
                self._protect_with(require_long_enough(passphrase), Stretching.make())
            except AlreadyExists:  # another process was faster
                self._opened(passphrase)

    def read(self, path: Path) -> bytes:
        """What a key file holds, opened where it is sealed.

        Raises WrongKey without the passphrase, IntegrityError for a damaged file or one that others put there,
        InvalidConfiguration when others can reach it.
        """
        refuse_others(path, "600")
        data = path.read_bytes()
        if _sealed_in(data) is None and self._path.exists():
            self._opened()
            with self.alone():  # another process may have been sealing it, and overwriting what was read
                data = path.read_bytes()
                if _sealed_in(data) is None and self._read_head().complete:
                    raise IntegrityError(
                        f"{path} lies in the clear, and the keys of this device are under a {self.protection}: "
                        "somebody put it there. If that was you, `unseen keys protect` seals it; else remove it"
                    )
        sealed = _sealed_in(data)
        return data if sealed is None else self._open(path, sealed)

    def write(self, path: Path, document: bytes) -> None:
        """Put a document at ``path``, sealed where the vault is protected; on disk when this returns."""
        self.open()  # whoever is asked for the passphrase keeps nobody else waiting
        with self.alone():
            write_private(path, self._as_kept(path, document))

    def write_new(self, path: Path, document: bytes) -> None:
        """The same under a name that nothing has yet; raises AlreadyExists."""
        self.open()
        with self.alone():
            write_new_private(path, self._as_kept(path, document))

    def destroy(self, path: Path) -> None:
        """Remove a key file for good; nothing happens when there is none."""
        if path.exists():
            with self.alone():
                destroy_private(path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which nobody else changes a key file of this home, in this process or another."""
        with self._lock:
            if self._is_alone:
                yield
                return
            with locked(self._home / LOCK_NAME):
                self._is_alone = True
                try:
                    yield
                finally:
                    self._is_alone = False

    # Protecting

    def protect_with_passphrase(self, passphrase: str, *, cost: int | None = None) -> None:
        """Put the key files under a passphrase, or under another one; on disk when this returns.

        What they were under before has to be there, and opens them no more afterwards. Raises InvalidInput for a
        passphrase that is too short, WrongKey for a wrong old one, AlreadyExists where another process protected them
        meanwhile: nothing is changed then.
        """
        require_long_enough(passphrase)
        self.open()
        stretching = Stretching.make()
        self._protect_with(passphrase, stretching if cost is None else replace(stretching, cost=cost))

    def _protect_with(self, passphrase: str, stretching: Stretching) -> None:
        self._protect(stretching, stretching.key(passphrase))
        self._passphrase = passphrase

    def protect_with_keyring(self) -> None:
        """Put the key files under a secret that the operating system keeps.

        Raises InvalidConfiguration if it keeps none, else as ``protect_with_passphrase``.
        """
        self.open()
        entry, secret = secrets.token_hex(16), random_bytes(KEY_BYTES)
        keyring_secret.keep(entry, secret)
        self._protect(entry, secret)

    def _protect(self, opener: Opener, master: bytes) -> None:
        """Put a vault that is open, or not protected, under what ``opener`` gives; AlreadyExists as above."""
        private_folder(self._home)
        with self.alone():
            before = self._read_head() if self._path.exists() else None
            if before is not None and self._key is None:
                raise AlreadyExists(
                    "another process has protected the keys of this device meanwhile; nothing was changed, try again"
                )
            if before is None and any(_sealed_in(path.read_bytes()) for path in self._found(HELD)):
                raise IntegrityError(f"{self._path} is not there, and key files are sealed under it; put a copy back")
            key = self._key or random_bytes(KEY_BYTES)
            write = write_over_private if before else write_new_private  # also where nothing can be locked
            write(self._path, VaultHead.wrap(opener, master, key, complete=False).to_bytes())
            self._key = key  # not before it is on disk: what it sealed would never open again
            self._complete(opener, master, key)
            if before is not None and isinstance(before.opener, str):
                keyring_secret.forget(before.opener)

    def _complete(self, opener: Opener, master: bytes, key: bytes) -> None:
        """Seal what is not, and say so in the head."""
        self._seal_all()
        write_over_private(self._path, VaultHead.wrap(opener, master, key, complete=True).to_bytes())

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

    def _opened(self, passphrase: str | None = None) -> bytes:
        """The vault key; asks for the passphrase at the first time, where none is given here."""
        with self._lock:
            if self._key is None:
                head = self._read_head()
                master = self._master(head.opener, passphrase)
                try:
                    key = head.unwrap(master)
                except WrongKey as error:
                    raise WrongKey(
                        f"the {head.kind} does not open the keys of this device; nothing was changed, try again"
                    ) from error
                except SealBroken as error:
                    raise self._damaged() from error
                self._key = key
                if not head.complete:
                    self._go_on(head, master, key)
            return self._key

    def _master(self, opener: Opener, passphrase: str | None) -> bytes:
        if isinstance(opener, str):
            return keyring_secret.fetch(opener)
        return opener.key(passphrase or found(self._passphrase))

    def _go_on(self, head: VaultHead, master: bytes, key: bytes) -> None:
        """Complete a first protection that had not ended when its head was read: after a crash nobody else does."""
        with self.alone():
            if self._read_head() == head:
                self._complete(head.opener, master, key)

    def _read_head(self) -> VaultHead:
        refuse_others(self._path, "600")
        try:
            return VaultHead.parse(self._path.read_bytes())
        except ValueError:
            with self.alone():  # another process may have been writing over what was read
                try:
                    return VaultHead.parse(self._path.read_bytes())
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


def _sealed_in(data: bytes) -> bytes | None:
    """The sealed bytes of a file, None for one in the clear or what is no JSON: its reader refuses that."""
    try:
        match read_json(data):
            case {"format": "unseen-sealed-file-1", "sealed": str(sealed)}:
                return base64.b64decode(sealed)
    except ValueError:
        return None
    return None
