"""A record key in a file that may travel: under a passphrase, by scrypt and AES-256-GCM.

Whoever gets the file may try passphrases offline, each for 128 MiB and about half a second: choose a long one. Format
in ``docs/protocol.md``.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from unseen import envelope
from unseen.errors import IntegrityError, InvalidInput, SealBroken, WrongKey
from unseen.json_text import read_json
from unseen_client.home import write_new_private
from unseen_client.keys.keystore import CollectionKey
from unseen_client.keys.passphrase import Stretching, require_long_enough

FORMAT = "unseen-key-export-1"
LARGEST_FILE_BYTES = 1 << 16


def export_key(key: CollectionKey, path: Path, passphrase: str) -> None:
    """Write the key to ``path`` (mode 0600), readable with the passphrase only; refuses to overwrite."""
    if path.exists():
        raise InvalidInput(f"{path} exists; name a new file")
    write_new_private(path, wrap(key, require_long_enough(passphrase), Stretching.make()))


def import_key(path: Path, passphrase: str) -> CollectionKey:
    """The key in an export; raises WrongKey for another passphrase, IntegrityError for another file."""
    return unwrap(read_small(path), passphrase)


def read_small(path: Path) -> bytes:
    """What a file that carries a key holds; raises InvalidInput, IntegrityError for one that is too large for that."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise IntegrityError(f"{path} is larger than any key export; give the file that `unseen keys export` wrote")
    return data


def wrap(key: CollectionKey, passphrase: str, stretching: Stretching) -> bytes:
    """The export's bytes."""
    plain = json.dumps(key.to_json(), sort_keys=True).encode()
    sealed = envelope.seal(stretching.key(passphrase), plain, envelope.context("key-export", FORMAT))
    fields = {
        "format": FORMAT,
        "scrypt": stretching.to_json(),
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
        case {"format": "unseen-key-export-1", "scrypt": dict(scrypt), "sealed": str(sealed)}:
            try:
                stretching, box = Stretching.from_json(scrypt), base64.b64decode(sealed, validate=True)
            except ValueError as error:
                raise IntegrityError("the key export is damaged; export the key again") from error
        case _:
            raise IntegrityError(f"expected a key export of format {FORMAT}; this is another file or a newer format")
    try:
        plain = envelope.open_sealed(stretching.key(passphrase), box, envelope.context("key-export", FORMAT))
    except (SealBroken, WrongKey) as error:
        raise WrongKey(
            "the passphrase does not open this export, or the file was altered; try the passphrase again"
        ) from error
    try:
        return CollectionKey.from_json(read_json(plain))
    except ValueError as error:
        raise IntegrityError("the key export opened but holds no key; export the key again") from error
