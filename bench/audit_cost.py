"""What does a search cost more because it is written down? The same search on two servers, taking turns.

    python -m bench.audit_cost --rows 10000 --dim 512 --json FILE

One server keeps the audit log: a leaf on disk before the first score leaves, a receipt that the client checks and
keeps. The other one is the same program with a log that writes nothing (``bench.unaudited_server``). Both hold the same
rows.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import percentile, print_table, write_json
from bench.timed_client import TimedClient
from bench.vectors import clustered_vectors

COLLECTION = "bench"
SEED = 19
PAUSE_S = 0.1
"""Between searches: pools of key material and masks fill up."""
PROGRAMS = {"without an audit log": "bench.unaudited_server", "with it": "unseen_server"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one when left out")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = measure(given.rows, given.dim, given.repeats, given.folder)
    show(figures)
    write_json(given.json, figures)


def measure(rows: int, dimension: int, repeats: int, folder: Path | None) -> dict[str, Any]:
    vectors = clustered_vectors(rows, dimension, SEED)
    random = np.random.default_rng(SEED)
    with ExitStack() as held:
        clients = {name: held.enter_context(filled(program, vectors, folder)) for name, program in PROGRAMS.items()}
        packing = next(iter(clients.values())).packing_of(COLLECTION)
        total: dict[str, list[float]] = {name: [] for name in clients}
        first: dict[str, list[float]] = {name: [] for name in clients}
        for round_number in range(repeats + 2):
            query = vectors[random.integers(0, rows)]
            for name in sorted(clients, reverse=bool(round_number % 2)):
                clients[name].wait_for_pool(packing)
                time.sleep(PAUSE_S)
                _, times = clients[name].timed_search(COLLECTION, query)
                if round_number > 1:  # the first two fetch the catalogue and warm everything up
                    total[name].append(1000 * times.total)
                    first[name].append(1000 * times.scan)
        adding = {name: [enrol_s(client, dimension, at) for at in range(9)][1:] for name, client in clients.items()}
    base, written = (statistics.median(total[name]) for name in PROGRAMS)
    return {
        "rows": rows, "dim": dimension, "repeats": repeats,
        "search_ms": {name: spread(values) for name, values in total.items()},
        "first_scores_ms": {name: spread(values) for name, values in first.items()},
        "search_ratio": written / base,
        "enrol_100_rows_ms": {name: 1000 * statistics.median(values) for name, values in adding.items()},
    }  # fmt: skip


def enrol_s(client: TimedClient, dimension: int, at: int) -> float:
    """Seconds for a hundred rows more."""
    vectors = np.random.default_rng(at).standard_normal((100, dimension)).astype(np.float32)
    began = time.perf_counter()
    client.enrol_vectors(COLLECTION, [f"more {at} {row}" for row in range(100)], vectors)
    return time.perf_counter() - began


@contextmanager
def filled(program: str, vectors: np.ndarray, folder: Path | None) -> Iterator[TimedClient]:
    """A client of a server of its own that holds the rows."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [sys.executable, "-m", program, "--data", f"{place}/data", "--master-key", f"{place}/key"]
        with (Path(place) / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        try:
            with TimedClient(address, home=Path(place) / "device", timeout_s=300.0) as client:
                client.create_collection(COLLECTION, dimension=vectors.shape[1], keep_vectors=False)
                client.enrol_vectors(COLLECTION, [str(row) for row in range(len(vectors))], vectors)
                yield client
        finally:
            server.terminate()
            server.communicate(timeout=60)


def spread(values: list[float]) -> dict[str, float]:
    return {"p50": statistics.median(values), "p95": percentile(values, 95)}


def show(figures: dict[str, Any]) -> None:
    lines = [
        (
            name,
            f"{figures['search_ms'][name]['p50']:.1f} / {figures['search_ms'][name]['p95']:.1f} ms",
            f"{figures['first_scores_ms'][name]['p50']:.1f} ms",
            f"{figures['enrol_100_rows_ms'][name]:.0f} ms",
        )
        for name in PROGRAMS
    ]
    ratio = f"{figures['search_ratio']:.3f}"
    title = (
        f"{figures['rows']:,} rows of {figures['dim']}; a search that is written down takes {ratio} of one that is not"
    )
    print_table(title, lines, ("", "search p50 / p95", "until the first scores", "100 rows more"))


if __name__ == "__main__":
    main()
