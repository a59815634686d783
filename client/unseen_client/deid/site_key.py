"""The site key: what new UIDs, patient ids and dates of DICOM objects are computed from. Made once, kept at home.

Runs where the originals are. The same key gives the same pseudonyms in every run, so that studies stay together.
Whoever holds it can test a guess (is this the pseudonym of that patient?), so it is kept like a record key: one file
that only its owner reads, never sent anywhere.
"""

from __future__ import annotations

import base64
import hmac
import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from unseen.entropy import random_bytes
from unseen.errors import AlreadyExists, IntegrityError, StoreFailed
from unseen.json_text import read_json
from unseen_client.deid.dicom_settings import SITE_KEY_BYTES
from unseen_client.home import private_folder
from unseen_client.keys.vault import Vault

FILE_NAME = "site-key.json"
FORMAT = "unseen-site-key-1"
_MARK_BYTES = 8


def site_key(home: Path, vault: Vault | None = None) -> bytes:
    """Return the site key of a device's home, made when there is none yet.

    ``vault``: the one that all keys of this home share; by default one that finds its passphrase itself.

    Raises:
        InvalidConfiguration: others can reach the file or the folder.
        IntegrityError: the file is damaged.
        WrongKey: it is under a passphrase, which was not given or is another.
        StoreFailed: it cannot be read or written.
    """
    private_folder(home)
    path = home / FILE_NAME
    vault = vault or Vault(home)
    if not path.exists():
        _make(path, vault)
    try:
        return _parsed(vault.read(path))
    except OSError as error:
        raise StoreFailed(f"cannot read the site key {path}: {error.strerror}") from error
    except ValueError as error:
        raise IntegrityError(
            f"the site key {path} is damaged; put a copy back, or remove it: a new key gives other pseudonyms"
        ) from error


def mark_of(key: bytes) -> str:
    """16 hexadecimal digits that tell site keys apart in a report and say nothing else of them."""
    return hmac.new(key, b"unseen site key mark", sha256).digest()[:_MARK_BYTES].hex()


def _make(path: Path, vault: Vault) -> None:
    """Put a fresh key there, whole or not at all; one that another process put there in the meantime stays."""
    key = base64.b64encode(random_bytes(SITE_KEY_BYTES)).decode("ascii")
    with suppress(AlreadyExists):
        vault.write_new(path, json.dumps({"format": FORMAT, "site_key": key}, indent=1).encode())


def _parsed(data: bytes) -> bytes:
    match read_json(data):
        case {"format": "unseen-site-key-1", "site_key": str(text)}:
            key = base64.b64decode(text, validate=True)
            if len(key) == SITE_KEY_BYTES:
                return key
    raise ValueError("no site key")
