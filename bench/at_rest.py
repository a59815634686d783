"""How many bytes does a row take on the server's disk, in a collection of each protection?

    python -m bench.at_rest --rows 10000 --dim 512 --json FILE

A real server on SQLite, filled by a real client: rows as ``enrol_vectors`` sends them, and as ``enrol_images`` does,
with a file's name and a thumbnail. What is counted is the database file once the server has ended, and what its parts
take of it. Then single rows are erased and enrolled again, and the file is looked at once more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np

from bench.measure import PASSPHRASE, print_table, write_json
from bench.vectors import clustered_vectors
from unseen_client import Client, Record
from unseen_client.demo.stage import LOOPBACK, Stage
from unseen_client.prepare import thumbnail_of

COLLECTION = "bench"
SEED = 11
TIMEOUT_S = 300.0
CHANGES = 20
"""Rows that are erased, and put back, one by one."""
FILE_NAME = "unseen.sqlite"
KINDS = ("vectors", "images", "images without thumbnails")


def records_of(kind: str, rows: int) -> list[Record]:
    """What stands in the records: for images a name, and a picture as detailed as photographs are."""
    if kind == "vectors":
        return [Record()] * rows
    names = [f"IMG_{number:05}.jpg" for number in range(rows)]
    if kind != "images":
        return [Record(name=name) for name in names]
    rough = np.random.default_rng(SEED).normal(128, 40, (16, 12, 3)).clip(0, 255).astype(np.uint8)
    picture = thumbnail_of(rough.repeat(16, 0).repeat(16, 1))
    return [Record(name=name, thumbnail=picture) for name in names]


def measured(protection: str, kind: str, rows: int, dimension: int) -> dict[str, float]:
    """Bytes a row, whole and by part, and how far the file grows by a change of one row."""
    vectors, records = clustered_vectors(rows, dimension, SEED), records_of(kind, rows)
    ids = [f"{number:016x}" for number in range(rows)]
    with Stage() as stage:
        empty = _stopped_bytes(stage, lambda _: None)

        def fill(client: Client) -> None:
            client.create_collection(COLLECTION, dimension=dimension, protection=protection)
            client.enrol_vectors(COLLECTION, ids, vectors, records=records)

        def change(client: Client) -> None:
            for row in range(0, CHANGES * 7, 7):
                client.erase(COLLECTION, ids[row])
                client.enrol_vectors(COLLECTION, [ids[row]], vectors[row : row + 1], records=[records[row]])

        full = _stopped_bytes(stage, fill)
        parts = {name: size / rows for name, size in _parts(stage.data / FILE_NAME).items()}
        changed = _stopped_bytes(stage, change)
    per_row = {"a row": (full - empty) / rows}
    return per_row | parts | {"growth by a row erased and put back": (changed - full) / CHANGES}


def _stopped_bytes(stage: Stage, work: Callable[[Client], None]) -> int:
    """The database file after some work, the server ended."""
    stage.start()
    with Client(f"{LOOPBACK}:{stage.port}", home=stage.home, timeout_s=TIMEOUT_S, passphrase=PASSPHRASE) as client:
        work(client)
    stage.stop()
    return (stage.data / FILE_NAME).stat().st_size


def _parts(path: Path) -> dict[str, int]:
    """Bytes of the pages of each table and index that has more than a few."""
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name HAVING count(*) > 3").fetchall()
    database.close()
    return {str(name).rstrip("0123456789").rstrip("_"): int(str(size)) for name, size in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--protection", choices=("sealed", "owner"), action="append")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for protection in given.protection or ("sealed", "owner"):
        for kind in KINDS:
            found = figures[f"{protection}, {kind}"] = measured(protection, kind, given.rows, given.dim)
            lines = [(name, f"{size:,.0f}") for name, size in found.items()]
            print_table(f"{given.rows:,} rows of {given.dim}, {protection}, {kind}", lines, ("", "bytes"))
    write_json(given.json, {"rows": given.rows, "dim": given.dim, **figures})


if __name__ == "__main__":
    main()
