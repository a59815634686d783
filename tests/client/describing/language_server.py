"""A small real HTTP server on loopback with the chat interface of OpenAI's, which says what a test wants it to say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.http_double import Answer, Asked, serving


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


@contextmanager
def language_server(certificate: Path | None = None, key: Path | None = None) -> Iterator[LanguageServer]:
    """Runs one; with a certificate it is behind TLS."""
    told = LanguageServer()

    def answer(request: Asked) -> Answer:
        asked = json.loads(request.body)
        told.asked.append(asked)
        told.paths.append(request.path)
        told.keys.append(request.headers["Authorization"])
        message = {"role": "assistant", "content": told.says(asked)}
        proper = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
        return Answer(told.status, proper if told.body is None else told.body, told.headers, told.seconds_a_byte)

    with serving(answer, certificate, key) as address:
        told.address = f"{address}/v1"
        yield told
