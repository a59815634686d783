"""What this device holds of agreements: whom it trusts, what it accepted, what it was given in writing.

    agreements/<collection uid>.json     the controller's key, as it was at its first acceptance, and every receipt
    certificates/<collection uid>/       every erasure certificate that came, by request id

Trust on first use: the first key that comes is believed, and a later one under the same name is not. Compare the
fingerprint with the controller by another way before you accept. No private key is here: ``controller_keys``. By which
keys this device knows a server is in ``receipts``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import ControllerChanged, IntegrityError, InvalidDocument, Mismatch, ProofBroken
from unseen.governance.canonical import parse_object
from unseen.governance.fields import Fields
from unseen.governance.keys import fingerprint
from unseen.governance.policy import DIGEST_BYTES, MOST_VERSIONS
from unseen.signature import PUBLIC_KEY_BYTES
from unseen_client.home import private_folder, refuse_others, write_private

FORMAT = "unseen-agreements-1"
MOST_ACCEPTANCES = MOST_VERSIONS


@dataclass(frozen=True)
class Accepted:
    """One version that this device accepted."""

    version: int
    digest: bytes
    receipt: str
    """Signed by the server."""


@dataclass(frozen=True)
class Agreed:
    """What this device accepted of one collection's agreement."""

    controller_key: bytes
    accepted: tuple[Accepted, ...]

    def has(self, digest: bytes) -> bool:
        """Whether this very version was accepted."""
        return any(one.digest == digest for one in self.accepted)

    def require_controller(self, public_key: bytes) -> None:
        """ControllerChanged unless a policy is signed by the key that was trusted first."""
        if public_key != self.controller_key:
            raise ControllerChanged(
                f"this agreement is signed by the key {fingerprint(public_key)}, this device knows the controller by "
                f"{fingerprint(self.controller_key)}; ask the controller, and only if the new key is theirs accept it "
                "with `unseen policy accept --new-key FINGERPRINT`"
            )

    def require_no_older(self, version: int) -> None:
        """Mismatch when the server shows as in force what was replaced, as this device knows."""
        newest = max((one.version for one in self.accepted), default=0)
        if version < newest:
            raise Mismatch(
                f"the server shows version {version} of this agreement as the one in force, and this device accepted "
                f"version {newest} before: ask the server's operator whether an old backup was restored; if so, have "
                f"the controller set the terms again until they are version {newest}, then accept them"
            )


class Agreements:
    """Files below the device's home; on disk when a call returns."""

    def __init__(self, home: Path) -> None:
        self._home = home

    # Agreements

    def of(self, collection_uid: bytes) -> Agreed | None:
        """What was accepted, None when nothing was; IntegrityError for a damaged file."""
        document = self._read(self._home / "agreements" / f"{collection_uid.hex()}.json")
        if document is None:
            return None
        try:
            fields = Fields(document, "an agreement on this device")
            fields.require("format", FORMAT)
            agreed = Agreed(
                fields.hex_bytes("controller_key", PUBLIC_KEY_BYTES),
                tuple(_accepted(item) for item in _list(fields.value("accepted"))),
            )
            fields.end()
        except InvalidDocument as error:
            raise IntegrityError("what this device accepted is damaged; remove the file and accept again") from error
        return agreed

    def accept(self, collection_uid: bytes, controller_key: bytes, accepted: Accepted) -> None:
        """Keep an acceptance, and the controller's key with the first.

        Another key takes the place of the one held, and of what was accepted under that: another controller's versions
        are not compared with the ones before.
        """
        before = self.of(collection_uid)
        if before is not None and before.controller_key != controller_key:
            before = None
        kept = [] if before is None else [one for one in before.accepted if one.digest != accepted.digest]
        self._write(
            "agreements",
            collection_uid,
            {
                "format": FORMAT,
                "controller_key": controller_key.hex(),
                "accepted": [
                    {"version": one.version, "digest": one.digest.hex(), "receipt": one.receipt}
                    for one in [*kept, accepted]
                ],
            },
        )

    def forget(self, collection_uid: bytes) -> None:
        """Drop what was accepted of a collection that is no more; certificates stay."""
        (self._home / "agreements" / f"{collection_uid.hex()}.json").unlink(missing_ok=True)

    # Certificates

    def keep_certificate(self, collection_uid: bytes, request_id: bytes, certificate: bytes) -> None:
        """Keep an erasure certificate for good."""
        folder = private_folder(private_folder(private_folder(self._home) / "certificates") / collection_uid.hex())
        write_private(folder / f"{request_id.hex()}.json", certificate)

    def _write(self, room: str, uid: bytes, document: object) -> None:
        folder = private_folder(private_folder(self._home) / room)
        write_private(folder / f"{uid.hex()}.json", json.dumps(document, indent=1, sort_keys=True).encode())

    def _read(self, path: Path) -> dict[str, object] | None:
        if not path.exists():
            return None
        refuse_others(path, "600")
        try:
            return parse_object(path.read_bytes())
        except InvalidDocument as error:
            raise IntegrityError(f"{path} is damaged; remove it") from error


def require_signed_by(keys: Sequence[bytes], public_key: bytes, what: str) -> None:
    """ProofBroken unless a document is signed by a key that this device knows the server by."""
    if public_key not in keys:
        raise ProofBroken(
            f"{what} is signed by the key {fingerprint(public_key)}, which is not the one that this device knows the "
            "server by; do not trust it"
        )


def _accepted(document: object) -> Accepted:
    fields = Fields(document, "an acceptance")
    accepted = Accepted(
        fields.number("version", 1, MOST_VERSIONS), fields.hex_bytes("digest", DIGEST_BYTES), fields.text("receipt")
    )
    fields.end()
    return accepted


def _list(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > MOST_ACCEPTANCES:
        raise InvalidDocument("expected a list of acceptances")
    return value
