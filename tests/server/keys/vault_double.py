"""A small double of HashiCorp Vault's transit engine: the two calls that the server makes, over TLS, and its refusals.

The real one is in none of the registries that tests may use. What it answers follows its API documentation for
``/transit/encrypt/:name`` and ``/transit/decrypt/:name``: AES-256-GCM with ``associated_data``, ``vault:v1:`` before
the base64 of nonce and ciphertext, errors as {"errors": [...]}.
"""

from __future__ import annotations

import base64
import json
import os
from contextlib import ExitStack
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.certificate import write_certificate
from tests.http_double import Answer, Asked, serving

PREFIX = "vault:v1:"


class VaultDouble:
    """A Vault that runs as long as a test."""

    def __init__(self, folder: Path, with_tls: bool = True) -> None:
        self.token = "hvs.canary-token-of-vault"
        self.keys = {name: os.urandom(32) for name in ("first", "second")}
        self.sealed = False
        self.ignores_associated_data = False
        self.answer: tuple[int, bytes] | None = None
        """Given in place of every answer."""
        self.seen: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each call."""
        self.certificate = folder / "ca.pem"
        identity: tuple[Path, ...] = ()
        if with_tls:
            identity = (self.certificate, folder / "key.pem")
            write_certificate(*identity)
        self._running = ExitStack()
        self.url = self._running.enter_context(serving(self._answer, *identity))

    def close(self) -> None:
        self._running.close()

    def choice(self, key: str = "first", mount: str = "transit") -> str:
        """What --master-key names."""
        return f"vault:{self.url}/{mount}/{key}"

    def _answer(self, request: Asked) -> Answer:
        self.seen.append((request.path, dict(request.headers)))
        status, body = self.answered(request.path, request.headers["X-Vault-Token"], request.body)
        return Answer(status, body, {"Location": body.decode()} if status == 307 else {})

    def answered(self, path: str, token: str | None, body: bytes) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if token != self.token:
            return _errors(403, "permission denied")
        parts = path.split("/")
        if len(parts) != 5 or parts[:3] != ["", "v1", "transit"] or parts[4] not in self.keys:
            return _errors(404, "no handler for route")
        return self._transit(parts[3], self.keys[parts[4]], json.loads(body))

    def _transit(self, action: str, key: bytes, fields: dict[str, str]) -> tuple[int, bytes]:
        bound = base64.b64decode(fields["associated_data"])
        if self.ignores_associated_data:
            bound = b""
        if action == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + AESGCM(key).encrypt(nonce, base64.b64decode(fields["plaintext"]), bound)
            return _data(ciphertext=PREFIX + base64.b64encode(sealed).decode())
        if not fields["ciphertext"].startswith(PREFIX):
            return _errors(400, "invalid ciphertext: no prefix")
        try:
            sealed = base64.b64decode(fields["ciphertext"].removeprefix(PREFIX), validate=True)
            plain = AESGCM(key).decrypt(sealed[:12], sealed[12:], bound)
        except ValueError:
            return _errors(400, "invalid ciphertext: could not decode base64")
        except InvalidTag:
            return _errors(400, "cipher: message authentication failed")
        return _data(plaintext=base64.b64encode(plain).decode())


def _data(**fields: str) -> tuple[int, bytes]:
    return 200, json.dumps({"request_id": "0", "data": fields}).encode()


def _errors(status: int, *errors: str) -> tuple[int, bytes]:
    return status, json.dumps({"errors": errors}).encode()
