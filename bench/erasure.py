"""What does erasure by key cost: at a start, at an erasure, and in the size of the key ring?

    python -m bench.erasure --rows 100000 --dim 512 --json FILE

Opening rows is compared with opening the same vectors sealed under one key for all of them, taken in turns. Erasures
fall on random rows, one request each as a person would erase; the ring is replaced on this machine's disk each time.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.measure import interleave, medians, percentile, print_table, write_json
from unseen.entropy import random_bytes, random_uid
from unseen.envelope import SealingKey, context
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRing, KeyRings
from unseen.store.interface import VECTORS_AT_ONCE
from unseen.store.sealing import CollectionSeal, SealPlace, StoreSeals

UID = bytes(16)
FIRST = 12345 << 24
REPEATS = 5
ERASED_PER_MILLE = (0, 1, 10, 100, 500)
ROWS_OPENED = 20 * VECTORS_AT_ONCE
"""What is opened in one turn: a twelfth of a million rows."""
ERASURES_TIMED = 20


def places_of(serials: list[int]) -> list[SealPlace]:
    return [SealPlace(random_uid(), slot, 1, serial) for slot, serial in enumerate(serials)]


def opened(seal: CollectionSeal, places: list[SealPlace], sealed: list[bytes]) -> None:
    """As a start does it: page by page, with one seal for all of them."""
    for start in range(0, len(places), VECTORS_AT_ONCE):
        page = slice(start, start + VECTORS_AT_ONCE)
        seal.open_vectors(places[page], sealed[page])


def opening_figures(seals: StoreSeals, tree_id: bytes, dimension: int) -> dict[str, float]:
    """Microseconds per row, and the ratios to one key for all."""
    vector = random_bytes(2 * dimension)
    in_order = places_of([FIRST + number for number in range(ROWS_OPENED)])
    shuffled = places_of(random.sample(range(FIRST, FIRST + ROWS_OPENED), ROWS_OPENED))
    sealed = {
        name: seals.collection(UID, tree_id).seal_vectors(places, [vector] * ROWS_OPENED)
        for name, places in (("in order", in_order), ("shuffled", shuffled))
    }
    one_key, place = SealingKey(random_bytes(32)), context("vector", 1, UID, UID, 1, 1)
    under_one = [one_key.seal(vector, place) for _ in range(ROWS_OPENED)]
    seconds = interleave(
        {
            "one key for all rows": lambda: [one_key.open(one, place) for one in under_one],
            "in order": lambda: opened(seals.collection(UID, tree_id), in_order, sealed["in order"]),
            "shuffled": lambda: opened(seals.collection(UID, tree_id), shuffled, sealed["shuffled"]),
        },
        REPEATS,
    )
    return {name: value / ROWS_OPENED * 1e6 for name, value in medians(seconds).items()}


def erasing_figures(ring: KeyRing, rows: int) -> list[dict[str, float]]:
    """Bytes of the ring after ever more random erasures, and milliseconds of one more."""
    order = random.sample(range(FIRST, FIRST + rows), rows)
    figures: list[dict[str, float]] = []
    erased = 0
    for per_mille in ERASED_PER_MILLE:
        wanted = rows * per_mille // 1000
        ring.cut(UID, order[erased:wanted], None)
        erased = max(erased, wanted)
        size = ring.path.stat().st_size
        seconds = []
        for serial in order[erased : erased + ERASURES_TIMED]:
            started = time.perf_counter()
            ring.cut(UID, [serial], None)
            seconds.append(time.perf_counter() - started)
        erased += ERASURES_TIMED
        figures.append(
            {
                "erased": wanted,
                "ring_bytes": size,
                "one_more_ms": float(np.median(seconds)) * 1e3,
                "one_more_p95_ms": percentile(seconds, 95) * 1e3,
            }
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.erasure", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ring = KeyRings(Path(folder), HeldKey("file", random_bytes(32))).make(UID)
        opening = opening_figures(StoreSeals(ring), ring.add_tree(UID), chosen.dim)
        erasing = erasing_figures(ring, chosen.rows)
    peer = opening["one key for all rows"]
    print_table(
        f"opening a vector of {chosen.dim} dimensions, one thread",
        [(name, f"{value:.2f}", f"{value / peer:.2f}") for name, value in opening.items()],
        ("", "microseconds", "against one key"),
    )
    print_table(
        f"erasures of random rows among {chosen.rows:,}",
        [
            (
                f"{row['erased']:,.0f} erased",
                f"{row['ring_bytes']:,.0f}",
                f"{row['one_more_ms']:.1f}",
                f"{row['one_more_p95_ms']:.1f}",
            )
            for row in erasing
        ],
        ("", "bytes of the ring", "one more, ms", "p95, ms"),
    )
    write_json(chosen.json, {"rows": chosen.rows, "dimension": chosen.dim, "opening_us": opening, "erasing": erasing})


if __name__ == "__main__":
    main()
