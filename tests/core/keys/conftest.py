"""Keys of rows computed the plain way: from the root down, one hash a level, nothing remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from unseen.keys.tree import DEPTH


def plain_row_key(root: bytes, serial: int) -> bytes:
    key = root
    for level in reversed(range(DEPTH)):
        both = hashlib.blake2b(b"", key=key, digest_size=64, person=b"unseen/key-tree").digest()
        key = both[32:] if serial >> level & 1 else both[:32]
    return key


@pytest.fixture(scope="session")
def row_key() -> Callable[[bytes, int], bytes]:
    return plain_row_key
