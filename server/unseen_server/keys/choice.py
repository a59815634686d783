"""Which master key the server is told to use: ``--master-key``, understood but not yet opened.

    PATH, file:PATH        32 random bytes in a file of their own
    passphrase:PATH        the same, sealed under a passphrase
    aws-kms:KEY            a key in AWS KMS, by ARN or alias
    pkcs11:...             a key in a token or HSM, by RFC 7512 URI
    vault:URL              a key in HashiCorp Vault's transit engine, by https://HOST/MOUNT/NAME

A choice is never printed nor logged: an address says where the keys are, and people paste secrets into addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from unseen.errors import InvalidConfiguration
from unseen.keys.provider import HeldKey, KeyProvider
from unseen_server.keys.passphrase import AskPassphrase
from unseen_server.master_key import open_master_key

FILE, PASSPHRASE, AWS_KMS, PKCS11, VAULT = "file", "passphrase", "aws-kms", "pkcs11", "vault"
KINDS = (FILE, PASSPHRASE, AWS_KMS, PKCS11, VAULT)
_LIKE_A_KIND = re.compile("[A-Za-z][A-Za-z0-9+_-]+")
RING_FOLDER = "unseen.key-ring"
"""Beside the file of a master key, unless --key-ring names another place."""


@dataclass(frozen=True)
class MasterKeyChoice:
    """A kind of provider and where its key is."""

    kind: str
    place: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> MasterKeyChoice:
        """A choice from the command line; a text that begins with no kind is a path."""
        kind, colon, place = text.partition(":")
        if not colon or not _LIKE_A_KIND.fullmatch(kind):
            return cls.of_file(Path(text))
        if kind not in KINDS:  # taken for a path, a slip of the pen would make a plain key
            raise InvalidConfiguration(
                f"--master-key begins with {kind!r}; it is one of {', '.join(KINDS)}, and a path with a colon in it is "
                "written file:PATH"
            )
        if not place:
            raise InvalidConfiguration(f"--master-key {kind}: names no place; write for example file:./master.key")
        return cls(kind, place)

    @classmethod
    def of_file(cls, path: Path) -> MasterKeyChoice:
        """The choice of a plain file."""
        return cls(FILE, str(path))

    @property
    def path(self) -> Path | None:
        """The file of a master key that lies in one."""
        return Path(self.place) if self.kind in (FILE, PASSPHRASE) else None

    @property
    def ring_folder(self) -> Path | None:
        """Where the key ring lies unless another place is named: beside the file, when there is one."""
        return self.path.parent / RING_FOLDER if self.path else None


def open_provider(choice: MasterKeyChoice, make: bool, ask: AskPassphrase) -> KeyProvider:
    """The provider that was chosen. A missing key file is made when ``make`` allows it; a service is asked later.

    InvalidConfiguration when it cannot be used as it is named, or its package is not installed.
    """
    # Each in its own file and imported here only: boto3 and a PKCS#11 module are no part of a base server.
    if choice.kind == PASSPHRASE:
        from unseen_server.keys.passphrase_file import open_sealed_master_key

        return HeldKey(PASSPHRASE, open_sealed_master_key(Path(choice.place), make, ask))
    if choice.kind == AWS_KMS:
        from unseen_server.keys.aws_kms import AwsKms

        return AwsKms(choice.place)
    if choice.kind == PKCS11:
        from unseen_server.keys.pkcs11_token import Pkcs11Token

        return Pkcs11Token(choice.place)
    if choice.kind == VAULT:
        from unseen_server.keys.vault import VaultTransit

        return VaultTransit(choice.place)
    return HeldKey(FILE, open_master_key(Path(choice.place), make))
