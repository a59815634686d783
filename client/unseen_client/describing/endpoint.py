"""A language model behind an OpenAI-compatible address on this machine: llama.cpp, Ollama, vLLM, LM Studio.

For the device only. Sends the request and the covered picture, as a JPEG without metadata, to that address and nowhere
else: every address that the name stands for must be this machine's own, the connection is made to the very address that
was looked at (a name that changes its mind is no way round), nothing is sent on by a redirect, and no proxy is asked.
Another machine is talked to only where the caller said so, with TLS. What comes back is bounded in size and time.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from contextlib import suppress
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from unseen.errors import DeadlineExceeded, InvalidInput, LimitExceeded, MalformedMessage, ServerUnavailable
from unseen.json_text import read_json
from unseen.pixels import Pixels

TIMEOUT_S = 120.0
"""For one whole answer: models without a graphics card take their time over a picture."""
LARGEST_ANSWER_BYTES = 1 << 20
JPEG_QUALITY = 90
PORTS = {"http": 80, "https": 443}
WHERE = "http://127.0.0.1:PORT/v1"


class Endpoint:
    """A model that a server at an address runs. Connects when it is asked; safe for several threads."""

    def __init__(
        self, address: str, name: str = "", key: str = "", anywhere: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Raises InvalidInput for an address that cannot be; where it leads is looked at before each request."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as error:
            raise InvalidInput(f"got something that is no address, expected {WHERE}") from error
        plain = parts.scheme in PORTS and parts.hostname and "@" not in parts.netloc and not parts.query and port != 0
        if not plain or not address.isprintable() or not all(33 <= ord(one) < 127 for one in address + key):
            raise InvalidInput(f"got an address or key that a language model's cannot be, expected {WHERE}")
        self._host, self._secure = str(parts.hostname), parts.scheme == "https"
        self._port = port or PORTS[parts.scheme]
        self._path = parts.path.rstrip("/") + "/chat/completions"
        self._name, self._key, self._anywhere, self._timeout_s = name, key, anywhere, timeout_s

    def reply(self, request: str, picture: Pixels | None, most_tokens: int) -> str:
        """What the model says; see ``LanguageModel.reply``. Raises InvalidInput where the address leads away."""
        content: list[dict[str, Any]] = [{"type": "text", "text": request}]
        if picture is not None:
            content.append({"type": "image_url", "image_url": {"url": _as_address(picture)}})
        asked = {
            **({"model": self._name} if self._name else {}),
            "messages": [{"role": "user", "content": content if picture is not None else request}],
            "max_tokens": most_tokens,
            "temperature": 0,
            "stream": False,
        }
        return _said(self._ask(json.dumps(asked).encode()))

    def close(self) -> None:
        """Nothing is held between requests."""

    def _ask(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        over = threading.Event()
        try:
            connection = _connected(self._addresses(), self._host, self._port, self._secure, self._timeout_s)
            ending = threading.Timer(self._timeout_s, _end, [connection.sock, over])
            ending.daemon = True
            ending.start()
            try:
                connection.request("POST", self._path, body, headers)
                body = _body(connection.getresponse())
                if over.is_set():  # what was read until then looks like a whole answer
                    raise TimeoutError
                return body
            finally:
                ending.cancel()
                connection.close()
        except ssl.SSLCertVerificationError as error:
            raise ServerUnavailable(
                "the language model's certificate is not for the host in its address, or of nobody that this device "
                "trusts; nothing was sent"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            if over.is_set() or isinstance(error, TimeoutError):
                raise DeadlineExceeded(f"the language model did not answer within {self._timeout_s:g} s") from error
            raise ServerUnavailable(
                "the language model did not answer; is its server running at the address that was given?"
            ) from error

    def _addresses(self) -> list[tuple[Any, ...]]:
        """Every socket address that the host's name stands for now; raises InvalidInput when one is not allowed."""
        found = [each[4] for each in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)]
        if not all(is_loopback(str(each[0])) for each in found):
            if not self._anywhere:
                raise InvalidInput(
                    "the language model's address leads to another machine: pictures and words would leave this "
                    f"device. Give an address on this one, such as {WHERE}, or say that it may be anywhere"
                )
            if not self._secure:
                raise InvalidInput("a language model on another machine is asked with TLS only: give an https address")
        return found


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's own, written as IPv4 within IPv6 too."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _connected(
    addresses: list[tuple[Any, ...]], host: str, port: int, secure: bool, timeout_s: float
) -> http.client.HTTPConnection:
    """A connection to the first of the addresses that answers: these, whatever the name stands for by now."""
    failed: OSError = ConnectionRefusedError()
    for address in addresses:
        try:
            plain = socket.create_connection(address[:2], timeout=timeout_s)
        except OSError as error:
            failed = error
            continue
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        return connection
    raise failed


def _end(sock: socket.socket, over: threading.Event) -> None:
    """Stop whoever waits for this socket: a server that sends a byte now and then is late all the same."""
    over.set()
    with suppress(OSError):  # it may be over already
        # Not SSLSocket's own: that takes TLS off first, and a thread that is sending would send its rest in the clear.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _body(answer: http.client.HTTPResponse) -> bytes:
    if 300 <= answer.status < 400:
        raise ServerUnavailable("the language model's server sends on to another address; that is not followed")
    if answer.status != 200:
        raise ServerUnavailable(f"the language model's server answered with HTTP status {answer.status}")
    body = answer.read(LARGEST_ANSWER_BYTES + 1)
    if len(body) > LARGEST_ANSWER_BYTES:
        raise LimitExceeded(f"the language model's server answered more than {LARGEST_ANSWER_BYTES} bytes; not taken")
    return body


def _said(body: bytes) -> str:
    """The text of the first choice; raises MalformedMessage."""
    try:
        said = read_json(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise MalformedMessage("the language model's server answered in a way that no such server should") from error
    if not isinstance(said, str):
        raise MalformedMessage("the language model's server answered without a text")
    return said


def _as_address(picture: Pixels) -> str:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
