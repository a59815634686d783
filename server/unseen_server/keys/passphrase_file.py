"""A master key in a file that needs a passphrase: 32 random bytes, sealed under scrypt.

Who has the file may try passphrases offline, each for 128 MiB and about half a second: choose a long one. The server
holds the key once it is open. The file is JSON with sorted names; docs/formats.md lists them.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from unseen import envelope
from unseen.entropy import random_bytes
from unseen.errors import InvalidConfiguration, WrongKey
from unseen.json_text import read_json
from unseen_server.keys.passphrase import AskPassphrase
from unseen_server.master_key import exists, read_private, write_once

FORMAT = "unseen-sealed-master-key-1"
SALT_BYTES = 16
COST = 1 << 17
"""scrypt's n; with r = 8 a guess takes 128 MiB."""
MOST_COST = 1 << 20
"""A file may not make the server take more than 1 GiB."""
BLOCK_SIZE = 8
LARGEST_FILE_BYTES = 4096


def open_sealed_master_key(path: Path, make: bool, ask: AskPassphrase) -> bytes:
    """The master key in ``path``; made there first when it is absent and ``make`` allows it.

    InvalidConfiguration when it is absent and the data is not, open to others, or another file; WrongKey for another
    passphrase.
    """
    if not exists(path):
        if not make:
            raise InvalidConfiguration(
                f"there is data, but no master key at {path}: give --master-key the file that was made with the data"
            )
        master_key = random_bytes(envelope.KEY_BYTES)
        write_once(path, seal(master_key, ask(True), random_bytes(SALT_BYTES), COST))
        return master_key
    return unseal(read_private(path, LARGEST_FILE_BYTES), path, ask(False))


def seal(master_key: bytes, passphrase: str, salt: bytes, cost: int) -> bytes:
    """The file's bytes."""
    wrapped = envelope.wrap_key(_stretched(passphrase, salt, cost), master_key, _place())
    fields = {
        "format": FORMAT,
        "scrypt": {"n": cost, "r": BLOCK_SIZE, "p": 1, "salt": base64.b64encode(salt).decode("ascii")},
        "wrapped": base64.b64encode(wrapped).decode("ascii"),
    }
    return json.dumps(fields, indent=1, sort_keys=True).encode() + b"\n"


def unseal(data: bytes, path: Path, passphrase: str) -> bytes:
    """The inverse of ``seal``; ``path`` is for the sentence of an error."""
    cost, salt, wrapped = _parsed(data, path)
    try:
        return envelope.unwrap_key(_stretched(passphrase, salt, cost), wrapped, _place())
    except WrongKey:
        raise WrongKey(f"the passphrase does not open the master key {path}; try it again") from None


def _parsed(data: bytes, path: Path) -> tuple[int, bytes, bytes]:
    refusal = InvalidConfiguration(f"{path} is not a master key under a passphrase of format {FORMAT}")
    try:
        fields = read_json(data)
        match fields:
            case {
                "format": "unseen-sealed-master-key-1",
                "scrypt": {"n": int(cost), "r": 8, "p": 1, "salt": str(salt)},
                "wrapped": str(wrapped),
            } if 2 <= cost <= MOST_COST and not cost & (cost - 1):
                return cost, base64.b64decode(salt, validate=True), base64.b64decode(wrapped, validate=True)
    except ValueError:
        raise refusal from None
    raise refusal


def _place() -> bytes:
    return envelope.context("master key file", FORMAT)


def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=envelope.KEY_BYTES, n=cost, r=BLOCK_SIZE, p=1).derive(passphrase.encode("utf-8"))
