"""A hub on loopback: real HTTP, laid out as Hugging Face's hub is. No real hub is reachable in tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.http_double import Answer, Asked, serving
from unseen_client.models.shelf import ModelShelf

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "somebody/tiny"
LARGE_BYTES = 1000
"""Files from here on lie in large storage: the listing has their SHA-256, and the bytes are on "another host"."""


def left(shelf: ModelShelf) -> list[str]:
    """The folders among a device's models."""
    return sorted(path.name for path in shelf.folder.iterdir())


@dataclass
class SmallHub:
    """What it holds, and how it misbehaves."""

    repositories: dict[str, dict[str, bytes]]
    licence: str = "mit"
    asked: list[str] = field(default_factory=list)
    listed_as: dict[str, bytes] = field(default_factory=dict)
    """Files that the listing describes by other bytes than come."""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    """Whole answers by path, before anything else."""
    address: str = ""

    def listing(self, repository: str) -> bytes:
        siblings = [self._sibling(name, data) for name, data in self.repositories[repository].items()]
        return json.dumps({"sha": COMMIT, "siblings": siblings, "cardData": {"license": self.licence}}).encode()

    def _sibling(self, name: str, data: bytes) -> dict[str, Any]:
        data = self.listed_as.get(name, data)
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        told: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
        if len(data) >= LARGE_BYTES:
            told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return told

    def answer(self, request: Asked) -> Answer:
        path = unquote(urlsplit(request.path).path)
        self.asked.append(path)
        if path in self.answers:
            status, headers, body = self.answers[path]
            return Answer(status, body, headers)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in self.repositories and parts[4] == "revision":
            return Answer(body=self.listing("/".join(parts[2:4])))
        if parts[0] == "storage":
            return Answer(body=self.repositories["/".join(parts[1:3])]["/".join(parts[3:])])
        files = self.repositories.get("/".join(parts[:2]), {})
        name = "/".join(parts[4:])
        if parts[2:4] != ["resolve", COMMIT] or name not in files:
            return Answer(404, b"no such file")
        if len(files[name]) >= LARGE_BYTES:
            return Answer(302, headers={"Location": f"{self.address}/storage/{'/'.join(parts[:2])}/{name}"})
        return Answer(body=files[name])


@contextmanager
def answering(hub: SmallHub) -> Iterator[SmallHub]:
    """Answer on a free port until the end."""
    with serving(hub.answer) as hub.address:
        yield hub
