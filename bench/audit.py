"""What does the audit log cost when it holds a million leaves? Appends, groups, proofs, starts, verification.

    python -m bench.audit --leaves 1000000 --json FILE

Fills the server's own log, then records one act after the other, each on disk before the next, in turn with its peers
on the same disk: the same bytes written and synced to a plain file (what any durable log has to pay), and a row
committed to SQLite with synchronous=FULL. Then many acts at once, proofs from random places, starts with and without
the checkpoint.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import percentile, print_table, write_json
from unseen.audit import tree
from unseen.audit.leaf import DONE, Details, Leaf
from unseen.audit.log import Log
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.entropy import random_bytes, random_uid
from unseen_server.audit import Audit
from unseen_server.call import Caller
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.opening import open_audit
from unseen_server.storage import open_store

GROUP = 1024
"""Leaves of one write while the log is filled."""
WAITING_AT_ONCE, ACTS_AT_ONCE = 32, 2000
CALLER = Caller(tenant="", name="radiology workstation 12", roles=frozenset())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one when left out")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        figures = measure(Path(folder), given.leaves, given.repeats)
    show(figures)
    write_json(given.json, figures)


def measure(folder: Path, leaves: int, repeats: int) -> dict[str, Any]:
    config = Config(folder / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(folder / "key"), None, 1)
    figures: dict[str, Any] = {"leaves": leaves, "repeats": repeats}
    with opened(config) as audit:
        log = audit.log_of("")
        figures["fill_leaves_per_s"] = leaves / fill(log, leaves)
        figures["append_ms"] = {name: spread(taken) for name, taken in appends(audit, folder, repeats).items()}
        figures["at_once"] = at_once(audit)
        figures["proofs"] = proofs(log, repeats)
        figures["bytes_per_leaf"] = log.now.end / log.now.size
    figures["start_after_close_s"] = start_s(config)
    for file in (folder / "data/audit").rglob("checkpoint"):
        file.unlink()
    figures["start_without_checkpoint_s"] = start_s(config)
    with opened(config) as audit:
        began = time.perf_counter()
        audit.log_of("").verify()
        figures["verify_leaves_per_s"] = leaves / (time.perf_counter() - began)
    return figures


@contextmanager
def opened(config: Config) -> Iterator[Audit]:
    """The server's audit over a store of its own."""
    store = open_store(config)
    audit = open_audit(config, store)
    try:
        yield audit
    finally:
        audit.close()
        store.close()


def start_s(config: Config) -> float:
    """Seconds until the log is open; the store is opened before."""
    store = open_store(config)
    began = time.perf_counter()
    audit = open_audit(config, store)
    taken = time.perf_counter() - began
    audit.close()
    store.close()
    return taken


def a_leaf() -> bytes:
    """One like that of a search."""
    details = Details(collection=random_uid(), purpose="research", policy="7")
    return Leaf("Search", CALLER.name, time.time_ns() // 1_000_000, DONE, details).to_bytes(random_bytes(16))


def fill(log: Log, count: int) -> float:
    """Seconds for so many leaves in groups."""
    began = time.perf_counter()
    for start in range(0, count, GROUP):
        log.append([a_leaf() for _ in range(min(GROUP, count - start))])
    return time.perf_counter() - began


def appends(audit: Audit, folder: Path, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of one durable record each way, taking turns."""
    plain = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    database = sqlite3.connect(folder / "peer.sqlite", isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE leaf (body BLOB)")
    details = Details(collection=random_uid(), purpose="research", policy="7")

    def plain_file(leaf: bytes) -> None:
        os.write(plain, leaf)
        os.fsync(plain)

    ways: dict[str, Callable[[bytes], object]] = {
        "an act in the audit log": lambda _: audit.record_now(CALLER, "Search", details=details),
        "write and fsync of the same bytes": plain_file,
        "a row in SQLite, synchronous=FULL": lambda leaf: database.execute("INSERT INTO leaf VALUES (?)", (leaf,)),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            leaf = a_leaf()
            began = time.perf_counter()
            way(leaf)
            taken[name].append((time.perf_counter() - began) * 1000)
    os.close(plain)
    database.close()
    return taken


def at_once(audit: Audit) -> dict[str, float]:
    """Acts per second while many wait, and how many of them share one fsync."""
    heads: set[str] = set()
    began = time.perf_counter()
    with ThreadPoolExecutor(WAITING_AT_ONCE) as threads:
        for receipt in threads.map(lambda _: audit.record_now(CALLER, "Search"), range(ACTS_AT_ONCE)):
            heads.add(receipt.head)
    taken = time.perf_counter() - began
    return {"waiting": WAITING_AT_ONCE, "acts_per_s": ACTS_AT_ONCE / taken, "acts_per_fsync": ACTS_AT_ONCE / len(heads)}


def proofs(log: Log, repeats: int) -> dict[str, Any]:
    """Time to make and to check proofs from random places, and their bytes."""
    now = log.now
    root = now.root
    places = [random.randrange(now.size) for _ in range(repeats)]
    picked = dict(zip(places, leaves_at(log, places), strict=True))
    made, checked, sizes, consistency_made, consistency_sizes = [], [], [], [], []
    for place in places:
        began = time.perf_counter()
        proof = log.inclusion_proof(place, now.size)
        made.append((time.perf_counter() - began) * 1e6)
        sizes.append(32 * len(proof))
        began = time.perf_counter()
        verify_inclusion(tree.leaf_hash(picked[place]), place, now.size, proof, root)
        checked.append((time.perf_counter() - began) * 1e6)
        old = place + 1
        old_root = tree.RightEdge(old, list(log.subtrees(old))).root()
        began = time.perf_counter()
        steps = log.consistency_proof(old, now.size)
        consistency_made.append((time.perf_counter() - began) * 1e6)
        consistency_sizes.append(32 * len(steps))
        verify_consistency(old, old_root, now.size, root, steps)
    return {
        "inclusion_made_us": spread(made),
        "inclusion_checked_us": spread(checked),
        "inclusion_bytes_most": max(sizes),
        "consistency_made_us": spread(consistency_made),
        "consistency_bytes_most": max(consistency_sizes),
    }


def leaves_at(log: Log, places: list[int]) -> list[bytes]:
    """The leaves at some places, in one pass."""
    wanted = set(places)
    found = {at: leaf for at, leaf in enumerate(log.leaves()) if at in wanted}
    return [found[place] for place in places]


def spread(values: list[float]) -> dict[str, float]:
    return {"p50": statistics.median(values), "p95": percentile(values, 95), "p99": percentile(values, 99)}


def show(figures: dict[str, Any]) -> None:
    appended = figures["append_ms"]
    base = appended["write and fsync of the same bytes"]["p50"]
    rows = [
        (name, *(f"{one[key]:.2f} ms" for key in ("p50", "p95", "p99")), f"{one['p50'] / base:.2f}")
        for name, one in appended.items()
    ]
    title = f"One durable record after another, {figures['leaves']:,} leaves in the log"
    print_table(title, rows, ("", "p50", "p95", "p99", "against write and fsync"))
    proof, group = figures["proofs"], figures["at_once"]
    lines = [
        (f"acts per second, {group['waiting']} waiting at once", f"{group['acts_per_s']:,.0f}"),
        ("acts that share one fsync then", f"{group['acts_per_fsync']:.1f}"),
        ("inclusion proof: made, p99", f"{proof['inclusion_made_us']['p99']:.0f} us"),
        ("inclusion proof: checked, p99", f"{proof['inclusion_checked_us']['p99']:.0f} us"),
        ("inclusion proof: bytes, most", f"{proof['inclusion_bytes_most']}"),
        ("consistency proof: made, p99", f"{proof['consistency_made_us']['p99']:.0f} us"),
        ("consistency proof: bytes, most", f"{proof['consistency_bytes_most']}"),
        ("bytes on disk for one leaf", f"{figures['bytes_per_leaf']:.0f}"),
        ("start after a close", f"{figures['start_after_close_s']:.2f} s"),
        ("start without a checkpoint: everything read", f"{figures['start_without_checkpoint_s']:.1f} s"),
        ("verification, leaves per second", f"{figures['verify_leaves_per_s']:,.0f}"),
    ]
    print_table("The log and its proofs", lines, ("", "figure"))


if __name__ == "__main__":
    main()
