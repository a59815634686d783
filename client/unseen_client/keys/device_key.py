"""The key pair of this device: whoever has its public half can hand this device a collection's key.

The private half is a file of the vault and goes nowhere. HPKE (RFC 9180) in base mode with the hybrid of ML-KEM-768 and
X25519 (draft-ietf-hpke-pq), HKDF-SHA256 and AES-256-GCM: what is wrapped today stays closed as long as one of the two
holds, also to somebody who keeps it until there is a quantum computer.

    public key, as text     unseen-device-1: and base64url of  ML-KEM-768 encapsulation key 1,184 | X25519 32 bytes
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from unseen.errors import AlreadyExists, IntegrityError, InvalidConfiguration, InvalidInput, WrongKey
from unseen.json_text import read_json
from unseen_client.home import private_folder
from unseen_client.keys.vault import Vault

FILE_NAME = "device-key.json"
FORMAT = "unseen-device-key-1"
PREFIX = "unseen-device-1:"
LATTICE_PUBLIC_BYTES, CURVE_PUBLIC_BYTES = 1184, 32
FINGERPRINT_BYTES = 8
LARGEST_TEXT_BYTES = 1 << 14


@dataclass(frozen=True)
class DevicePublicKey:
    """Names a device: what is wrapped to it, it alone can open."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != LATTICE_PUBLIC_BYTES + CURVE_PUBLIC_BYTES:
            raise InvalidInput("this is no public key of a device; give what `unseen keys device` prints there")

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits for people to compare."""
        return hashlib.sha256(b"unseen device" + self.raw).digest()[:FINGERPRINT_BYTES].hex()

    @property
    def text(self) -> str:
        """As it is handed on."""
        return PREFIX + base64.urlsafe_b64encode(self.raw).decode("ascii").rstrip("=")

    @staticmethod
    def parse(text: str) -> DevicePublicKey:
        """The inverse of ``text``, which may be the path of a file that holds it; raises InvalidInput."""
        words = text.strip()
        if not words.startswith(PREFIX):
            try:
                with Path(words).open("rb") as file:
                    words = file.read(LARGEST_TEXT_BYTES).decode("ascii").strip()
            except (OSError, ValueError):
                words = ""
        data = words.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        key = DevicePublicKey(raw if words.startswith(PREFIX) else b"")
        if key.text != words.rstrip("="):
            raise InvalidInput("this public key of a device is damaged; print it there once more")
        return key

    def wrap(self, plain: bytes, info: bytes) -> bytes:
        """Seal for this device, bound to ``info`` (RFC 9180, section 6.1: SealBase)."""
        try:
            lattice = MLKEM768PublicKey.from_public_bytes(self.raw[:LATTICE_PUBLIC_BYTES])
            curve = X25519PublicKey.from_public_bytes(self.raw[LATTICE_PUBLIC_BYTES:])
            return _suite().encrypt(plain, hpke.MLKEM768X25519PublicKey(lattice, curve), info)
        except UnsupportedAlgorithm as error:
            raise _too_old() from error
        except ValueError as error:
            raise InvalidInput("this public key of a device is damaged; print it there once more") from error


class DeviceKey:
    """Both halves."""

    def __init__(self, lattice: MLKEM768PrivateKey, curve: X25519PrivateKey) -> None:
        self._lattice, self._curve = lattice, curve

    @property
    def public(self) -> DevicePublicKey:
        raw = self._lattice.public_key().public_bytes_raw() + self._curve.public_key().public_bytes_raw()
        return DevicePublicKey(raw)

    def unwrap(self, sealed: bytes, info: bytes) -> bytes:
        """What was wrapped to this device for the same ``info``; raises WrongKey for anything else."""
        try:
            return _suite().decrypt(sealed, hpke.MLKEM768X25519PrivateKey(self._lattice, self._curve), info)
        except (InvalidTag, ValueError) as error:
            raise WrongKey(
                "this was wrapped to another device or for another collection, or it was altered; ask for it again"
            ) from error
        except UnsupportedAlgorithm as error:
            raise _too_old() from error


def device_key(home: Path, vault: Vault) -> DeviceKey:
    """This device's key pair, made when there is none yet; raises IntegrityError, WrongKey."""
    private_folder(home)
    path = home / FILE_NAME
    if not path.exists():
        _make(path, vault)
    try:
        match read_json(vault.read(path)):
            case {"format": "unseen-device-key-1", "ml_kem_768": str(lattice), "x25519": str(curve)}:
                return DeviceKey(
                    MLKEM768PrivateKey.from_seed_bytes(base64.b64decode(lattice, validate=True)),
                    X25519PrivateKey.from_private_bytes(base64.b64decode(curve, validate=True)),
                )
    except ValueError as error:
        raise _damaged(path) from error
    raise _damaged(path)


def _make(path: Path, vault: Vault) -> None:
    """Put a fresh pair there; one that another process put there in the meantime stays."""
    try:
        lattice, curve = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    except UnsupportedAlgorithm as error:
        raise _too_old() from error
    halves = {"ml_kem_768": lattice.private_bytes_raw(), "x25519": curve.private_bytes_raw()}
    fields = {"format": FORMAT} | {name: base64.b64encode(half).decode("ascii") for name, half in halves.items()}
    with suppress(AlreadyExists):
        vault.write_new(path, json.dumps(fields, indent=1, sort_keys=True).encode())


def _suite() -> hpke.Suite:
    return hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        f"{path} is damaged; put a copy back, or remove it: this device gets another public key, and what was wrapped "
        "to the old one has to be wrapped again"
    )


def _too_old() -> InvalidConfiguration:
    return InvalidConfiguration(
        "the OpenSSL that cryptography was built with knows no ML-KEM; install cryptography from PyPI (47 or newer)"
    )
