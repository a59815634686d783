"""What other programs of this machine may ask the gateway: similar studies, health, counts. HTTP/1.1 on loopback only.

    GET  /health    no token; 200 while objects are taken, 503 when not      {"status", "waiting_for", "quarantine"}
    GET  /metrics   counts, as Prometheus reads them
    POST /similar   {"study": UID, "reason": text, "top_k": 5}               {"studies": [{score, study, ...}]}
    POST /studies   STOW-RS: objects into the queue (PS3.18 section 10.5)

Runs at the edge of the site. Everything but /health asks for the token of a file that only the gateway's account reads:
who holds it sees real studies as that account, with its grant, and is logged as it. Nothing of a request is logged
here. Pages of the web cannot ask: no request without the token is answered, and the Host has to be this machine's.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from unseen.entropy import random_bytes
from unseen.errors import (
    InvalidConfiguration,
    InvalidInput,
    NotFound,
    NotPermitted,
    StoreFailed,
    UnseenError,
)
from unseen.json_text import read_json
from unseen_client.gateway.bounded_threads import BoundedThreads
from unseen_client.home import refuse_others, write_new_private

TOKEN_NAME = "gateway-token"  # noqa: S105 - the file's name
MOST_ASKED_BYTES = 64 << 10
MOST_AT_ONCE = 8
IDLE_S = 15.0
_LENGTH = re.compile("[0-9]{1,18}")
JSON_TYPE, TEXT_TYPE = "application/json", "text/plain; version=0.0.4"

STATUSES: tuple[tuple[type[UnseenError], int], ...] = (
    (InvalidInput, 400),
    (NotPermitted, 403),
    (NotFound, 404),
    (StoreFailed, 507),
)

Answer = tuple[int, str, bytes]
"""Status, media type and body."""
Ask = Callable[[str, bytes], Answer]
"""Answers a request with this Content-Type and body."""


def token_of(home: Path) -> str:
    """The token of this device's gateway, made when there is none yet; StoreFailed, InvalidConfiguration."""
    path = home / TOKEN_NAME
    if not path.exists():
        write_new_private(path, base64.urlsafe_b64encode(random_bytes(32)))
    refuse_others(path, "600")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise StoreFailed(f"cannot read {path}: {error.strerror}") from error


class RestServer:
    """Answers in threads until it is closed."""

    def __init__(self, port: int, token: str, asked: Mapping[tuple[str, str], Ask], largest_bytes: int) -> None:
        """``asked``: by method and path. InvalidConfiguration when the port cannot be had."""
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise InvalidConfiguration(
                f"cannot listen on 127.0.0.1:{port}: {error.strerror}; choose another"
            ) from error
        self._server.token = token.encode()
        self._server.asked = dict(asked)
        self._server.largest_bytes = largest_bytes
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(BoundedThreads, HTTPServer):
    token: bytes
    asked: dict[tuple[str, str], Ask]
    largest_bytes: int

    def __init__(self, *given: Any) -> None:
        self.free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(*given)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server_version, sys_version = "unseen", ""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        refusal = self._turned_away()
        if refusal is not None:
            self.close_connection = True  # a body may follow that nobody reads
            self._send(refusal)
            return
        body = self.rfile.read(self._length() or 0)
        ask = self.server.asked[self.command, self.path]
        self._send(answered(ask, self.headers.get("Content-Type", ""), body))

    def _turned_away(self) -> Answer | None:
        """Why nothing more of the request is looked at; None for one that is answered."""
        if self.headers.get("Host", "").partition(":")[0] not in {"127.0.0.1", "localhost"}:
            return refused(403, "this machine is 127.0.0.1 or localhost")
        if self.path != "/health" and not self._is_let_in():
            return refused(401, f"send the token of the file {TOKEN_NAME}: Authorization: Bearer TOKEN")
        if (self.command, self.path) not in self.server.asked:
            return refused(404, "there are GET /health, GET /metrics, POST /similar and POST /studies")
        length = self._length()
        if length is None:
            return refused(411, "give the length of the body as Content-Length, and no Transfer-Encoding")
        most = self.server.largest_bytes if self.path == "/studies" else MOST_ASKED_BYTES
        return refused(413, f"got {length} bytes, expected at most {most}") if length > most else None

    def _length(self) -> int | None:
        """Of the body that follows; None where that is not said."""
        told = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(told):
            return None
        return int(told)

    def _is_let_in(self) -> bool:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, b"Bearer " + self.server.token)

    def _send(self, answer: Answer) -> None:
        status, media_type, body = answer
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a path may hold anything."""


def answered(ask: Ask, media_type: str, body: bytes) -> Answer:
    """What is asked for, or the error that came of it."""
    try:
        return ask(media_type, body)
    except UnseenError as error:
        return refused(status_of(error), str(error), error.code)


def status_of(error: UnseenError) -> int:
    """The HTTP status of an error; those that pass by themselves, such as a server that is down, are 503."""
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return status
    return 503


def refused(status: int, reason: str, code: str = "REFUSED") -> Answer:
    """An error as JSON."""
    return status, JSON_TYPE, json.dumps({"error": {"code": code, "message": reason}}).encode()


def as_json(fields: object, status: int = 200) -> Answer:
    """A result as JSON."""
    return status, JSON_TYPE, json.dumps(fields).encode()


def read_fields(body: bytes) -> dict[str, Any]:
    """A JSON object that was sent; InvalidInput."""
    try:
        fields = read_json(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise InvalidInput("got no JSON object")
    try:
        "".join(one for one in fields.values() if isinstance(one, str)).encode()
    except UnicodeEncodeError:  # JSON can say half a pair of surrogates, and nothing behind this can write it
        raise InvalidInput("got a text that is none in UTF-8") from None
    return fields
