"""A small real HTTP server on loopback with the chat interface of OpenAI's, which says what a test wants it to say."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass
class LanguageServer:
    """What was asked, and what is to be answered."""

    address: str = ""
    says: Callable[[dict[str, Any]], str] = lambda asked: "a picture"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Instead of a proper answer."""
    seconds_a_byte: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def pictures(self) -> list[np.ndarray]:
        """The pictures that came, decoded."""
        contents = [part for one in self.asked for part in one["messages"][0]["content"] if isinstance(part, dict)]
        addresses = [part["image_url"]["url"] for part in contents if part["type"] == "image_url"]
        data = [base64.b64decode(one.removeprefix("data:image/jpeg;base64,"), validate=True) for one in addresses]
        return [np.asarray(Image.open(BytesIO(one))) for one in data]


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up for a bad certificate, or before the end, is what is wanted."""


@contextmanager
def language_server(certificate: Path | None = None, key: Path | None = None) -> Iterator[LanguageServer]:
    """Runs one; with a certificate it is behind TLS."""
    told = LanguageServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.asked.append(asked)
            told.paths.append(self.path)
            told.keys.append(self.headers["Authorization"])
            message = {"role": "assistant", "content": told.says(asked)}
            answer = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
            answer = answer if told.body is None else told.body
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(answer)))
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if not told.seconds_a_byte:
                self.wfile.write(answer)
                return
            for at in range(len(answer)):
                self.wfile.write(answer[at : at + 1])
                self.wfile.flush()
                time.sleep(told.seconds_a_byte)

        def log_message(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.address = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
