"""Every kind of store, made fresh for a test; the suite in test_store.py runs once for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import RowBatch

OpenStore = Callable[[], Store]
MakeBatch = Callable[..., RowBatch]


def open_sqlite(place: Path) -> OpenStore:
    return lambda: SqliteStore(place, rings_beside(place))


@pytest.fixture(params=[open_sqlite], ids=["sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same store again and again; what was opened is closed at the end."""
    opened: list[Store] = []

    def open_it() -> Store:
        opened.append(request.param(tmp_path)())
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


@pytest.fixture
def new_collection() -> Callable[..., NewCollection]:
    def new(name: str = "photos", dimension: int = 8) -> NewCollection:
        return NewCollection(name, dimension, "0123456789abcdef", "none", packing_factor=8)

    return new


@pytest.fixture
def make_batch() -> MakeBatch:
    """Random rows: fresh ids, int16 vectors, records of random bytes."""

    def make(count: int, dimension: int = 8, record_bytes: int = 40, seed: int | None = None) -> RowBatch:
        random = np.random.default_rng(seed)
        vectors = random.integers(-300, 300, (count, dimension), dtype=np.int16)
        row_ids = tuple(random_uid() if seed is None else random.bytes(16) for _ in range(count))
        return RowBatch(row_ids, vectors, tuple(random.bytes(record_bytes) for _ in range(count)))

    return make
