"""HTTP on loopback, for doubles of services that tests cannot reach: a free port, TLS where wanted, ended with a block.

Not a word on the terminal, unless the double itself fails.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request, by GET or by POST."""

    path: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What comes back, with its length among the headers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds_a_byte: float = 0.0
    """How slowly the body drips; all at once with 0."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nobody is to hear of a client that hangs up: for a bad certificate, or before the end."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(
    answer: Callable[[Asked], Answer], certificate: Path | None = None, key: Path | None = None
) -> Iterator[str]:
    """The address of a server that answers for the length of a block; behind TLS with a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._tell()

        def do_POST(self) -> None:
            self._tell()

        def _tell(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = answer(Asked(self.path, self.headers, body))
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(told.body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            at_once = 1 if told.seconds_a_byte else len(told.body) or 1
            for start in range(0, len(told.body), at_once):
                self.wfile.write(told.body[start : start + at_once])
                time.sleep(told.seconds_a_byte)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
