"""What does one search cost from end to end: time, bytes, memory? A real server process, a real client, this machine.

    python -m bench.search --rows N --dim 512 --json FILE
    python -m bench.search --rows N --protection owner --json FILE

Rows go in through the SDK. Then, in turns: one encrypted search after a pause (key material and masks made ahead, as
for a person at a keyboard), one plaintext search of the same rows over the same gRPC shape, and an echo of as many
bytes. Then 200 encrypted searches back to back from empty pools, so that making key material and masks is inside.
Then one row added and erased, over and over, and some of the first rows erased; then the server is stopped and started
again. Nothing is made ahead for an owner-encrypted collection.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import PASSPHRASE, percentile, print_table, write_json
from bench.plaintext_server import PlaintextPeer
from bench.process import cpu_seconds, resident_bytes
from bench.timed_client import SearchTimes, TimedClient, time_prepare
from bench.vectors import clustered_vectors
from unseen_client import rpcs
from unseen_client.demo.proxy import RecordingProxy
from unseen_client.demo.stage import LOOPBACK, Stage

COLLECTION = "bench"
SEED = 11
PAUSE_S = 1.0
"""Between single searches: a person's, in which pools fill up again."""
SETTLE_S = 0.2
"""After a search, before a row is erased: what the search used up is made anew by then."""
SUSTAINED = 200
TOP_K = 10
QUERY_NOISE = 0.5
"""A query is a row plus Gaussian noise of this length: its row is the right answer."""
TIMEOUT_S = 300.0
ENOUGH_ROWS = 100_000
"""With fewer, what the process itself takes hides what a row takes."""
ONE_SEARCH = """
import sys, numpy as np
from unseen_client import Client
with Client(sys.argv[1], home=sys.argv[2], timeout_s=300, passphrase=sys.argv[4]) as client:
    client.search_vector("bench", np.ones(int(sys.argv[3]), np.float32), top_k=10)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


class Bench:
    """One size, measured. Figures gather in ``figures``."""

    def __init__(self, stage: Stage, rows: int, dimension: int, repeats: int, sustained: int, protection: str) -> None:
        self.stage = stage
        self.is_owner = protection == "owner"
        self.rows = rows
        self.dimension = dimension
        self.repeats = repeats
        self.sustained = sustained
        self.figures: dict[str, object] = {"rows": rows, "dim": dimension, "repeats": repeats}
        self.figures["protection"] = protection
        self._random = np.random.default_rng(SEED + 1)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.stage.port}"

    def run(self) -> None:
        """Everything, in the order of the docstring above."""
        self.figures["first_start_s"] = self.stage.start()
        empty_bytes = resident_bytes(self.stage.process_id)
        with TimedClient(self.address, home=self.stage.home, timeout_s=TIMEOUT_S, passphrase=PASSPHRASE) as client:
            self._enrol(client)
            queries = self._queries()
            self._single(client, queries)
            self._sustained(client, queries)
            self._memory()
            self._socket_bytes(queries[0])
            self._one_row(client)
            self.stage.stop()
            self.figures["restart_s"] = self.stage.start()
            in_rows = resident_bytes(self.stage.process_id) - empty_bytes
            self.figures["server_bytes_per_row"] = in_rows / self.rows
            self.figures["first_search_after_restart_s"] = _seconds(
                partial(client.search_vector, COLLECTION, queries[0])
            )

    def _enrol(self, client: TimedClient) -> None:
        vectors = clustered_vectors(self.rows, self.dimension, SEED)
        self._sample = vectors[self._random.integers(0, self.rows, self.repeats)].copy()
        kind: dict[str, Any] = {"protection": "owner"} if self.is_owner else {"keep_vectors": False}
        client.create_collection(COLLECTION, dimension=self.dimension, **kind)
        began = time.perf_counter()
        client.enrol_vectors(COLLECTION, [str(row) for row in range(self.rows)], vectors)
        self.figures["enrol_s"] = time.perf_counter() - began
        self.figures["enrol_rows_per_s"] = self.rows / (time.perf_counter() - began)
        self.figures["enrol_bytes_up_per_row"] = client.sent_bytes[rpcs.ENROL_ROWS.path] / self.rows
        began = time.perf_counter()
        client.search_vector(COLLECTION, vectors[0])
        self.figures["first_search_with_catalogue_s"] = time.perf_counter() - began
        self.figures["packing_factor"] = client.packing_of(COLLECTION).factor

    def _queries(self) -> np.ndarray:
        noise = self._random.standard_normal(self._sample.shape).astype(np.float32)
        queries: np.ndarray = self._sample + QUERY_NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        return queries

    def _single(self, client: TimedClient, queries: np.ndarray) -> None:
        packing = client.packing_of(COLLECTION)
        peer = PlaintextPeer(self.rows, self.dimension, SEED)
        try:
            encrypted: list[SearchTimes] = []
            plain, echo, same = [], [], []
            for query in queries:
                self._settle(client)
                time.sleep(PAUSE_S)
                found, times = client.timed_search(COLLECTION, query, TOP_K)
                encrypted.append(times)
                plain.append(_seconds(partial(peer.search, query, TOP_K)))
                echo.append(_seconds(partial(peer.echo, times.bytes_up, times.bytes_down)))
                same.append(len(set(found) & {str(row) for row in peer.search(query, TOP_K)}) / TOP_K)
            self.figures["plaintext_server_rss_bytes"] = resident_bytes(peer.process_id)
        finally:
            peer.close()
        total = [times.total for times in encrypted]
        ahead = {} if self.is_owner else {"prepare_ahead": _median_ms(time_prepare(packing, 5))}
        plain_ms = 1000 * statistics.median(plain)
        self.figures |= {
            "p50_ms": 1000 * statistics.median(total),
            "p95_ms": 1000 * percentile(total, 95),
            "split_p50_ms": ahead | _split(encrypted),
            "transport_only_p50_ms": _median_ms(echo),
            "plaintext_p50_ms": plain_ms,
            "plaintext_p95_ms": 1000 * percentile(plain, 95),
            "ratio_to_plaintext": 1000 * statistics.median(total) / plain_ms,
            "bytes_up": encrypted[-1].bytes_up,
            "bytes_down": encrypted[-1].bytes_down,
            "recall_at_10_to_plaintext": statistics.fmean(same),
        }

    def _settle(self, client: TimedClient) -> None:
        """Until what the next query needs is made, where anything is made ahead."""
        if not self.is_owner:
            client.wait_for_pool(client.packing_of(COLLECTION))

    def _sustained(self, client: TimedClient, queries: np.ndarray) -> None:
        client.empty_pool()
        server_before, client_before, began = (
            cpu_seconds(self.stage.process_id),
            time.process_time(),
            time.perf_counter(),
        )
        all_times = [
            client.timed_search(COLLECTION, queries[number % len(queries)], TOP_K)[1]
            for number in range(self.sustained)
        ]
        seconds = time.perf_counter() - began
        self.figures["sustained"] = {
            "queries": self.sustained,
            "ms_per_query": 1000 * seconds / self.sustained,
            "p50_ms": 1000 * statistics.median(times.total for times in all_times),
            "p95_ms": 1000 * percentile([times.total for times in all_times], 95),
            "server_cpu_ms_per_query": 1000 * (cpu_seconds(self.stage.process_id) - server_before) / self.sustained,
            "client_cpu_ms_per_query": 1000 * (time.process_time() - client_before) / self.sustained,
            "split_p50_ms": _split(all_times),
        }

    def _memory(self) -> None:
        """The server as it stands; a client that has done nothing but one search, as a fresh process."""
        place = (self.address, str(self.stage.home))
        command = [sys.executable, "-c", ONE_SEARCH, *place, str(self.dimension), PASSPHRASE]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        self.figures |= {
            "server_rss_bytes": resident_bytes(self.stage.process_id),
            "client_rss_bytes": 1024 * int(done.stdout),
            "cold_client_s": time.perf_counter() - began,
        }

    def _socket_bytes(self, query: np.ndarray) -> None:
        """The same search with HTTP/2's framing, counted on the socket."""
        with (
            RecordingProxy(LOOPBACK, self.stage.port) as proxy,
            TimedClient(proxy.address, home=self.stage.home, timeout_s=TIMEOUT_S, passphrase=PASSPHRASE) as client,
        ):
            client.search_vector(COLLECTION, query)
            before = proxy.traffic()
            client.search_vector(COLLECTION, query)
            traffic = proxy.traffic() - before
        self.figures |= {"socket_bytes_up": traffic.up, "socket_bytes_down": traffic.down}

    def _one_row(self, client: TimedClient) -> None:
        """Add a row until it is acknowledged, which means searchable; erase it until it is gone; each by itself."""
        added, erased, adding, erasing = [], [], [], []
        sent = client.sent_bytes[rpcs.ENROL_ROWS.path]
        for number in range(self.repeats):
            vector = self._random.standard_normal((1, self.dimension)).astype(np.float32)
            added.append(_seconds(partial(client.enrol_vectors, COLLECTION, [f"new-{number}"], vector)))
            adding.append(client.exchange_seconds[rpcs.ENROL_ROWS.path])
            if client.search_vector(COLLECTION, vector[0], top_k=1)[0].id != f"new-{number}":
                raise SystemExit("an acknowledged row was not searchable")
            self._settle(client)
            time.sleep(SETTLE_S)
            erased.append(_seconds(partial(client.erase, COLLECTION, f"new-{number}")))
            erasing.append(client.exchange_seconds[rpcs.ERASE_ROWS.path])
        self.figures |= {"add_one_row_p50_ms": _median_ms(added), "erase_one_row_p50_ms": _median_ms(erased)}
        self.figures |= {"add_one_row_bytes_up": (client.sent_bytes[rpcs.ENROL_ROWS.path] - sent) / self.repeats}
        first = [_seconds(partial(client.erase, COLLECTION, str(row))) for row in range(self.repeats)]
        self.figures |= {"erase_one_of_the_first_rows_p50_ms": _median_ms(first)}
        self.figures |= {"add_one_row_server_p50_ms": _median_ms(adding)}
        self.figures |= {"erase_one_row_server_p50_ms": _median_ms(erasing)}
        self.figures |= {"add_one_row_p95_ms": 1000 * percentile(added, 95)}
        self.figures |= {"erase_one_row_p95_ms": 1000 * percentile(erased, 95)}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _median_ms(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


def _split(all_times: list[SearchTimes]) -> dict[str, float]:
    """The median of each part, in milliseconds."""
    parts = [field.name for field in fields(SearchTimes) if field.name not in {"total", "bytes_up", "bytes_down"}]
    return {part: _median_ms([asdict(times)[part] for times in all_times]) for part in parts}


def shown(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures for people."""
    parts = {name: f"{value:.1f} ms" for name, value in figures["split_p50_ms"].items()}
    sustained = figures["sustained"]
    return [
        ("one search after a pause", f"{figures['p50_ms']:.1f} ms (p95 {figures['p95_ms']:.1f})"),
        *((f"   {name.replace('_', ' ')}", value) for name, value in parts.items()),
        ("plaintext over the same shape", f"{figures['plaintext_p50_ms']:.1f} ms"),
        ("ratio to plaintext", f"{figures['ratio_to_plaintext']:.2f}"),
        ("as many bytes, nothing computed", f"{figures['transport_only_p50_ms']:.1f} ms"),
        (f"{sustained['queries']} searches back to back, each", f"{sustained['ms_per_query']:.1f} ms"),
        (
            "   processor time, server and client",
            f"{sustained['server_cpu_ms_per_query']:.0f} + {sustained['client_cpu_ms_per_query']:.0f} ms",
        ),
        ("bytes up, down", f"{figures['bytes_up']:,}, {figures['bytes_down']:,}"),
        ("packing factor", f"{figures['packing_factor']}"),
        (
            "server's memory, client's",
            f"{figures['server_rss_bytes'] / 1e6:,.0f}, {figures['client_rss_bytes'] / 1e6:,.0f} MB",
        ),
        *(
            [("server's memory, by row", f"{figures['server_bytes_per_row']:,.0f} bytes")]
            if figures["rows"] >= ENOUGH_ROWS
            else []
        ),
        (
            "enrolling, bytes up a row",
            f"{figures['enrol_rows_per_s']:,.0f} rows/s, {figures['enrol_bytes_up_per_row']:,.0f}",
        ),
        (
            "adding one row, until acknowledged",
            f"{figures['add_one_row_p50_ms']:.1f} ms, the server's part {figures['add_one_row_server_p50_ms']:.1f}",
        ),
        ("   bytes up", f"{figures['add_one_row_bytes_up']:,.0f}"),
        (
            "erasing one row, until acknowledged",
            f"{figures['erase_one_row_p50_ms']:.1f} ms, the server's part {figures['erase_one_row_server_p50_ms']:.1f}",
        ),
        ("erasing one of the first rows", f"{figures['erase_one_of_the_first_rows_p50_ms']:.1f} ms"),
        ("restart until it answers", f"{figures['restart_s']:.1f} s"),
        ("same best ten as plaintext", f"{figures['recall_at_10_to_plaintext']:.3f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--sustained", type=int, default=SUSTAINED)
    parser.add_argument("--protection", choices=("sealed", "owner"), default="sealed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with Stage() as stage:
        bench = Bench(stage, given.rows, given.dim, given.repeats, given.sustained, given.protection)
        bench.run()
    print_table(
        f"one search of {given.rows:,} rows of {given.dim}, {given.protection}", shown(bench.figures), ("", "median")
    )
    write_json(given.json, bench.figures)


if __name__ == "__main__":
    main()
