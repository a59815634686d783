"""Every kind of store, made fresh for a test; the suite in test_store.py runs once for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.core.store.failing_files import Disk, failing_disk
from tests.key_rings import rings_beside
from tests.postgres import Cluster
from unseen.entropy import random_uid
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import RowBatch
from unseen_server.postgres.store import PostgresStore

OpenStore = Callable[[], Store]
MakeBatch = Callable[..., RowBatch]


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same store again and again; what was opened is closed at the end."""
    opened: list[Store] = []
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        cluster.empty()

    def open_it() -> Store:
        if request.param == "postgres":
            opened.append(PostgresStore(cluster.address, rings_beside(tmp_path)))
        else:
            opened.append(SqliteStore(tmp_path, rings_beside(tmp_path)))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The disk that SQLite writes to during the test."""
    with failing_disk() as disk:
        yield disk


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
