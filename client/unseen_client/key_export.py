"""A record key in a file that may travel: under a passphrase, by scrypt and AES-256-GCM.

Whoever gets the file may try passphrases offline, each for 128 MiB and about half a second: choose a long one. Format
in ``docs/protocol.md``.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from unseen import envelope
from unseen.entropy import random_bytes
from unseen.errors import IntegrityError, InvalidInput, SealBroken, WrongKey
from unseen.json_text import read_json
from unseen_client.home import write_private
from unseen_client.keystore import KEY_BYTES, CollectionKey

FORMAT = "unseen-key-export-1"
SALT_BYTES = 16
SCRYPT_N = 1 << 17
"""Cost: with r = 8 a guess takes 128 MiB."""
MOST_SCRYPT_N = 1 << 20
"""A file from elsewhere may not make this device use more than 1 GiB."""
SCRYPT_R = 8
LARGEST_FILE_BYTES = 1 << 16
SHORTEST_PASSPHRASE = 8


def export_key(key: CollectionKey, path: Path, passphrase: str) -> None:
    """Write the key to ``path`` (mode 0600), readable with the passphrase only; refuses to overwrite."""
    if path.exists():
        raise InvalidInput(f"{path} exists; name a new file")
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidInput(f"the passphrase has {len(passphrase)} characters; give at least {SHORTEST_PASSPHRASE}")
    write_private(path, wrap(key, passphrase, salt=random_bytes(SALT_BYTES)))


def import_key(path: Path, passphrase: str) -> CollectionKey:
    """The key in an export; raises WrongKey for another passphrase, IntegrityError for another file."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise IntegrityError(f"{path} is larger than any key export; give the file that `unseen keys export` wrote")
    return unwrap(data, passphrase)


def wrap(key: CollectionKey, passphrase: str, *, salt: bytes, cost: int = SCRYPT_N) -> bytes:
    """The export's bytes."""
    plain = json.dumps(key.to_json(), sort_keys=True).encode()
    sealed = envelope.seal(_stretch(passphrase, salt, cost), plain, envelope.context("key-export", FORMAT))
    fields = {
        "format": FORMAT,
        "scrypt": {"n": cost, "r": SCRYPT_R, "p": 1, "salt": base64.b64encode(salt).decode("ascii")},
        "sealed": base64.b64encode(sealed).decode("ascii"),
    }
    return json.dumps(fields, indent=1, sort_keys=True).encode() + b"\n"


def unwrap(data: bytes, passphrase: str) -> CollectionKey:
    """The inverse of ``wrap``."""
    try:
        fields = read_json(data)
    except ValueError as error:
        raise IntegrityError("the file is not a key export; give the one that `unseen keys export` wrote") from error
    match fields:
        case {
            "format": "unseen-key-export-1",
            "scrypt": {"n": int(n), "r": 8, "p": 1, "salt": str(salt)},
            "sealed": str(sealed),
        }:
            if not 2 <= n <= MOST_SCRYPT_N or n & (n - 1):
                raise IntegrityError(f"the export asks for a scrypt cost of {n}; at most {MOST_SCRYPT_N} is accepted")
            try:
                key, box = (
                    _stretch(passphrase, base64.b64decode(salt, validate=True), n),
                    base64.b64decode(sealed, validate=True),
                )
            except ValueError as error:
                raise IntegrityError("the key export is damaged; export the key again") from error
        case _:
            raise IntegrityError(f"expected a key export of format {FORMAT}; this is another file or a newer format")
    try:
        plain = envelope.open_sealed(key, box, envelope.context("key-export", FORMAT))
    except (SealBroken, WrongKey) as error:
        raise WrongKey(
            "the passphrase does not open this export, or the file was altered; try the passphrase again"
        ) from error
    try:
        return CollectionKey.from_json(read_json(plain))
    except ValueError as error:
        raise IntegrityError("the key export opened but holds no key; export the key again") from error


def _stretch(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=cost, r=SCRYPT_R, p=1).derive(passphrase.encode())
