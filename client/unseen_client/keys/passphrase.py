"""Passphrases: where one comes from on this device, and the key that is made of it. Never sent, never kept.

Whoever gets what a passphrase protects may try passphrases offline, each for 128 MiB and about half a second: choose a
long one.
"""

from __future__ import annotations

import base64
import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES
from unseen.errors import IntegrityError, InvalidInput, WrongKey

SALT_BYTES = 16
SCRYPT_N = 1 << 17
"""Cost: with r = 8 a guess takes 128 MiB."""
MOST_SCRYPT_N = 1 << 20
"""A file from elsewhere may not make this device use more than 1 GiB."""
SCRYPT_R = 8
SHORTEST_PASSPHRASE = 8
LONGEST_PASSPHRASE_BYTES = 1 << 12
VARIABLE = "UNSEEN_KEYS_PASSPHRASE"
DESCRIPTOR_VARIABLE = "UNSEEN_KEYS_PASSPHRASE_FD"

PassphraseSource: TypeAlias = str | Callable[[], str] | None
"""The passphrase of the key store, what asks for it, or None for the surroundings: see ``found``."""


@dataclass(frozen=True)
class Stretching:
    """How a key is made of a passphrase: scrypt (RFC 7914) with r = 8 and p = 1."""

    salt: bytes
    cost: int = SCRYPT_N

    @staticmethod
    def make() -> Stretching:
        """With a fresh salt."""
        return Stretching(random_bytes(SALT_BYTES))

    def key(self, passphrase: str) -> bytes:
        """The 32-byte key of a passphrase; of bytes from the system that are no UTF-8, of these bytes."""
        said = passphrase.encode("utf-8", "surrogateescape")
        return Scrypt(salt=self.salt, length=KEY_BYTES, n=self.cost, r=SCRYPT_R, p=1).derive(said)

    def to_json(self) -> dict[str, object]:
        return {"n": self.cost, "r": SCRYPT_R, "p": 1, "salt": base64.b64encode(self.salt).decode("ascii")}

    @staticmethod
    def from_json(fields: object) -> Stretching:
        """The inverse; ValueError for another function, IntegrityError for one that costs more than 1 GiB."""
        match fields:
            case {"n": int(n), "r": 8, "p": 1, "salt": str(salt)}:
                if not 2 <= n <= MOST_SCRYPT_N or n & (n - 1):
                    raise IntegrityError(f"the file asks for a scrypt cost of {n}; at most {MOST_SCRYPT_N} is accepted")
                return Stretching(base64.b64decode(salt, validate=True), n)
        raise ValueError("no scrypt of this kind")


def require_long_enough(passphrase: str) -> str:
    """Pass a new passphrase through; raises InvalidInput."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidInput(f"the passphrase has {len(passphrase)} characters; give at least {SHORTEST_PASSPHRASE}")
    return passphrase


def found(source: PassphraseSource) -> str:
    """The passphrase that this device's keys lie under: as ``given``, else asked for at the terminal.

    Raises WrongKey where none is given and there is no terminal.
    """
    passphrase = given(source)
    if passphrase is not None:
        return passphrase
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass("Passphrase of this device's keys: ")
    raise WrongKey(
        f"the keys on this device are under a passphrase, and none was given; set {VARIABLE}, name an open file in "
        f"{DESCRIPTOR_VARIABLE}, or give Client(passphrase=...)"
    )


def chosen(source: PassphraseSource) -> str | None:
    """A passphrase that keys are put under for the first time, as ``given``; None where there is none.

    A function may ask a person, so it is called twice; raises InvalidInput where its answers differ.
    """
    if not callable(source):
        return given(source)
    passphrase = source()
    if source() != passphrase:
        raise InvalidInput(
            "the new passphrase of this device's keys was asked for twice, and the answers differ; nothing was put "
            "under it: give the same one both times"
        )
    return passphrase


def given(source: PassphraseSource) -> str | None:
    """The passphrase of the application, else of its surroundings; None where there is none. No terminal is asked.

    From the application's argument, a text or a function that may ask a person; else ``UNSEEN_KEYS_PASSPHRASE``; else
    the first line of the open file descriptor that ``UNSEEN_KEYS_PASSPHRASE_FD`` names.
    """
    if source is not None:
        return source if isinstance(source, str) else source()
    if said := os.environ.get(VARIABLE):
        return said
    if descriptor := os.environ.get(DESCRIPTOR_VARIABLE):
        return _from_descriptor(descriptor)
    return None


def _from_descriptor(number: str) -> str:
    try:
        data = b""
        while b"\n" not in data and len(data) < LONGEST_PASSPHRASE_BYTES:
            part = os.read(int(number), LONGEST_PASSPHRASE_BYTES)
            if not part:
                break
            data += part
    except (OSError, ValueError) as error:
        raise WrongKey(f"cannot read a passphrase from the descriptor that {DESCRIPTOR_VARIABLE} names") from error
    return data.partition(b"\n")[0].decode("utf-8", "surrogateescape")
