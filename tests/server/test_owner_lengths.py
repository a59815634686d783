"""Lengths, counts and places on a server's disk say nothing of which vectors an owner-encrypted collection holds.

What is left to tell collections apart by is sealed or drawn: ``python -m bench.owner_dump`` looks at that.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import apsw
import numpy as np
import pytest

from tests.server.in_process import config, in_thread
from unseen_client import Client
from unseen_server import app

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION, ROWS = 64, 140
SMALL = 1 << 20
"""Numbers below are counts, slots, epochs and lengths; others are times and what is drawn."""
Shapes = dict[str, Counter[tuple[object, ...]]]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Of one server each."""
    made = [tmp_path / name for name in ("one", "other", "shorter")]
    for folder in made:
        folder.mkdir()
    return made


def dense() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(ROWS + 5, DIMENSION)).astype(np.float32)


def sparse() -> np.ndarray:
    """One number in each: what could be packed tighter, if anything were."""
    vectors = np.zeros((ROWS + 5, DIMENSION), np.float32)
    vectors[:, 0] = 1
    return vectors


async def on_disk(folder: Path, vectors: np.ndarray) -> tuple[Shapes, list[int]]:
    """A server's tables by their rows' lengths and numbers, and its files' sizes, after a collection's short life."""
    running = await app.start(config(folder))

    def live() -> None:
        with Client(f"127.0.0.1:{running.port}", home=folder / "home") as client:
            client.create_collection("rows", dimension=DIMENSION, protection="owner")
            client.enrol_vectors("rows", [f"{row:04}" for row in range(ROWS)], vectors[:ROWS])
            for row in range(ROWS, len(vectors)):
                client.enrol_vectors("rows", [f"{row:04}"], vectors[row : row + 1])
            client.erase("rows", ["0003", f"{ROWS:04}"])
            client.search_vector("rows", vectors[7])

    try:
        await in_thread(live)
    finally:
        await running.stop()
    files = [path.stat().st_size for path in sorted((folder / "data").rglob("*")) if path.is_file()]
    return shapes(folder / "data" / "unseen.sqlite"), files


def shapes(path: Path) -> Shapes:
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = [str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: Counter(tuple(map(_shape, row)) for row in database.execute(f'SELECT * FROM "{table}"'))
            for table in tables
        }
    finally:
        database.close()


def _shape(value: object) -> object:
    if isinstance(value, bytes | str):
        return type(value).__name__, len(value)
    return value if isinstance(value, int) and value < SMALL else type(value).__name__


async def test_two_collections_of_equal_size_have_the_same_lengths_counts_and_places_on_disk(
    folders: list[Path],
) -> None:
    one, one_files = await on_disk(folders[0], dense())
    other, other_files = await on_disk(folders[1], sparse())
    assert sum(one["live_rows"].values()) == ROWS + 3
    assert one == other
    assert one_files == other_files
    shorter, _ = await on_disk(folders[2], dense()[:-1])
    assert shorter != one, "a row less does show"
