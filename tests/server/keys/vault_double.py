"""A small double of HashiCorp Vault's transit engine: the two calls that the server makes, over TLS, and its refusals.

The real one is in none of the registries that tests may use. What it answers follows its API documentation for
``/transit/encrypt/:name`` and ``/transit/decrypt/:name``: AES-256-GCM with ``associated_data``, ``vault:v1:`` before
the base64 of nonce and ciphertext, errors as {"errors": [...]}.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.server.keys.certificate import write_certificate

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
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                double.seen.append((self.path, dict(self.headers)))
                status, answer = double.answered(self.path, self.headers.get("X-Vault-Token"), body)
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", answer.decode())
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if with_tls:
            key = folder / "key.pem"
            write_certificate(self.certificate, key)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self.certificate, key)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if with_tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def choice(self, key: str = "first", mount: str = "transit") -> str:
        """What --master-key names."""
        return f"vault:{self.url}/{mount}/{key}"

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
