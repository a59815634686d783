"""A log in a temporary folder, opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unseen.audit.head import TreeHead, sign_head
from unseen.audit.log import Log

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
ORIGIN = "unseen/000102/03"
OpenLog = Callable[..., Log]


class TestSigner:
    """Signs with a fixed key."""

    __test__ = False
    public_keys = (PUBLIC_KEY,)

    def sign_head(self, head: TreeHead) -> str:
        return sign_head(head, KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def open_log(folder: Path) -> Iterator[OpenLog]:
    """Opens the log of a folder; the one opened before is closed first."""
    opened: list[Log] = []

    def open_(at: Path = folder, origin: str = ORIGIN, key: bytes = bytes(32)) -> Log:
        for log in opened:
            log.close()
        opened.append(Log(at, origin, key, TestSigner()))
        return opened[-1]

    yield open_
    for log in opened:
        log.close()
