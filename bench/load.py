"""What happens when five times as many searches come as the server can answer? Who is let in, how fast, what grows?

    python -m bench.load --rows N --dim 512 --soak-s 600 --json FILE

A real server with tokens and quotas; real encrypted queries, recorded from the real client and sent again as bytes by a
process of its own (``bench.load_generator``). In this order:

    capacity   searches a second that are answered when a few are always under way
    normal     half of that, at random moments
    overload   five times of it, at random moments; counted from the second at which the burst is over
               both in turns, ``--rounds`` times, and counted together: what disturbs the machine disturbs both
    soak       the same for ``--soak-s``: the server's memory, looked at every other second
    k6         with ``--k6 PROGRAM``: the same sent by k6, as a witness for the statuses

The server gets this promise: whoever is refused is told RESOURCE_EXHAUSTED and a time to wait, whoever is let in is
answered wholly and in less than twice the time of a normal day (99th percentile), and memory does not grow.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.load_k6 import statuses_by_k6
from bench.measure import percentile, print_table, write_json
from bench.process import cpu_seconds, resident_bytes
from bench.vectors import clustered_vectors
from unseen import params, wire
from unseen.he import packing, quantise
from unseen.he.message import reply_block_bytes
from unseen.he.secret import PreparedQuery
from unseen.types import CollectionInfo
from unseen.v1 import search_pb2
from unseen_client import Client
from unseen_client.demo.stage import LOOPBACK, Stage

COLLECTION = "load"
SEED = 23
QUERIES = 8
"""Different ones; the server cannot know whether it has seen one before."""
UNDER_WAY = 3
"""In the measurement of capacity: as many as the server scans at once, and one that is next."""
NORMAL_PART, OVERLOAD_TIMES = 0.5, 5.0
PAUSE_S = 6.0
"""Between phases: the server forgets that there was a flood."""
BURST_S = 3.0
"""The server takes a burst into its queue and judges the queue after a second; then it has to empty."""
LOOK_EVERY_S = 2.0
UNLIMITED = "1000000000"
ROUNDS = 3


class Load:
    """One server, one collection, one recording."""

    def __init__(
        self, rows: int, dimension: int, seconds: float, soak_s: float, k6: Path | None = None, rounds: int = ROUNDS
    ) -> None:
        self.rows, self.dimension, self.seconds, self.soak_s, self.k6 = rows, dimension, seconds, soak_s, k6
        self.rounds = rounds
        self.figures: dict[str, Any] = {"rows": rows, "dim": dimension, "seconds": seconds, "soak_s": soak_s}
        self.figures["rounds"] = rounds

    def run(self) -> None:
        """Everything, in the order of the docstring above."""
        quotas = [
            f"--{name}={UNLIMITED}" for name in ("searches-per-minute", "bits-per-row-per-day", "bytes-per-minute")
        ]
        with Stage(*quotas, "--calls-at-once=100000") as stage:
            token = make_token(stage)
            stage.start()
            address = f"{LOOPBACK}:{stage.port}"
            with Client(address, home=stage.home, token=token, timeout_s=300.0) as client:
                client.create_collection(COLLECTION, dimension=self.dimension, keep_vectors=False)
                vectors = clustered_vectors(self.rows, self.dimension, SEED)
                client.enrol_vectors(COLLECTION, [str(row) for row in range(self.rows)], vectors)
                best = client.search_vector(COLLECTION, vectors[7], top_k=1)[0]
                if best.id != "7":
                    raise SystemExit("the server does not find what it holds: nothing to measure")
                collection = client.collection(COLLECTION)
            messages = record(stage.scratch / "messages.json", collection, vectors, token)
            self._phases(stage, address, messages)

    def _phases(self, stage: Stage, address: str, messages: Path) -> None:
        def at_rate(rate: float, seconds: float, seed: int = SEED) -> dict[str, Any]:
            time.sleep(PAUSE_S)
            return generate(address, messages, seconds, "--rate", str(rate), "--seed", str(seed))

        generate(address, messages, 2.0, "--closed", str(UNDER_WAY))  # warm
        closed = generate(address, messages, self.seconds, "--closed", str(UNDER_WAY))
        capacity = len(closed["answered"]) / self.seconds
        flood = OVERLOAD_TIMES * capacity
        self.figures |= {"capacity_per_s": capacity, "bytes_up": sum(map(len, recorded_queries(messages)[0]))}
        normal: list[dict[str, Any]] = []
        overload: list[dict[str, Any]] = []
        used_s = 0.0
        for number in range(self.rounds):
            normal.append(at_rate(NORMAL_PART * capacity, self.seconds, SEED + number))
            began_s = cpu_seconds(stage.process_id)
            overload.append(at_rate(flood, self.seconds + BURST_S, SEED + number))
            used_s += cpu_seconds(stage.process_id) - began_s
        self.figures["normal"] = summary(normal, 0.0)
        self.figures["overload"] = summary(overload, BURST_S)
        self.figures["overload"]["server_cores"] = used_s / (self.rounds * (self.seconds + BURST_S))
        self.figures["overload"]["p99_against_normal"] = p99_ratio(normal, overload)
        self.figures["overload"]["p99_against_normal_by_round"] = [
            p99_ratio([one], [other]) for one, other in zip(normal, overload, strict=True)
        ]
        if self.soak_s:
            with memory_of(stage.process_id) as seen:
                soak = at_rate(flood, self.soak_s)
            self.figures["soak"] = summary([soak], BURST_S) | growth(seen)
        if self.k6 is not None:
            statuses = statuses_by_k6(self.k6, stage.scratch, address, messages, flood, self.seconds)
            self.figures["k6_statuses"] = statuses


def make_token(stage: Stage) -> str:
    """A token as an administrator makes one, before the server starts."""
    command = [sys.executable, "-P", "-m", "unseen_server.access", "create", "--name", "load"]
    command += ["--role", "reader", "--role", "contributor"]
    command += ["--data", str(stage.data), "--master-key", str(stage.master_key)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def record(file: Path, collection: CollectionInfo, vectors: np.ndarray, token: str) -> Path:
    """Write down real searches as they go over the wire, each query under a key of its own."""
    parameters = params.by_id(collection.parameter_id)
    layout = packing.Packing(parameters.ring_degree, collection.dimension, collection.packing_factor)
    header = search_pb2.SearchHeader(
        collection_uid=collection.uid, parameter_id=parameters.id, packing_factor=collection.packing_factor
    )
    queries = []
    for vector in vectors[:QUERIES]:
        query, _ = PreparedQuery.prepare(parameters, layout).encrypt(quantise.quantise_query(parameters, vector))
        chunks = [query[at : at + wire.MAX_CHUNK_BYTES] for at in range(0, len(query), wire.MAX_CHUNK_BYTES)]
        parts = [search_pb2.SearchRequest(header=header), *(search_pb2.SearchRequest(query=chunk) for chunk in chunks)]
        queries.append([base64.b64encode(part.SerializeToString()).decode() for part in parts])
    reply_bytes = layout.blocks(collection.slots) * reply_block_bytes(parameters, layout)
    metadata = [["authorization", f"Bearer {token}"]]
    file.write_text(json.dumps({"queries": queries, "reply_bytes": reply_bytes, "metadata": metadata}))
    return file


def recorded_queries(messages: Path) -> list[list[bytes]]:
    """What was recorded, as bytes."""
    return [[base64.b64decode(part) for part in query] for query in json.loads(messages.read_text())["queries"]]


def generate(address: str, messages: Path, seconds: float, *options: str) -> dict[str, Any]:
    """Run the generator as a process of its own."""
    command = [sys.executable, "-m", "bench.load_generator", "--address", address, "--messages", str(messages)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), *options], stdout=subprocess.PIPE, text=True, check=True
    )
    outcomes: dict[str, Any] = json.loads(done.stdout)
    return outcomes


def p99_ratio(normal: list[dict[str, Any]], overload: list[dict[str, Any]]) -> float:
    """The 99th percentile of those that were answered in overload, against that of a normal day.

    SystemExit where nothing was answered in one of them: that is no small ratio but a server that failed.
    """
    usual, flooded = summary(normal, 0.0), summary(overload, BURST_S)
    for name, run in (("on a normal day", usual), ("in overload", flooded)):
        if not run["answered"]:
            raise SystemExit(f"nothing was answered {name}: {run['refused'] or 'nothing was refused either'}")
    return float(flooded["answered_ms"]["p99"] / usual["answered_ms"]["p99"])


def summary(runs: list[dict[str, Any]], from_s: float) -> dict[str, Any]:
    """The figures of runs, counted together, without what was due before ``from_s`` in each.

    Of times there are none, None in place of each percentile.
    """
    answered = [seconds for run in runs for at, seconds in run["answered"] if at >= from_s]
    ended = [one for run in runs for one in run["refused"]]
    refused_s = [seconds for _, seconds, _ in ended]
    refused = Counter(how for how, _, _ in ended)
    return {
        "answered": len(answered),
        "answered_ms": _percentiles_ms(answered, 50, 95, 99),
        "refused": dict(refused),
        "refused_ms": _percentiles_ms(refused_s, 50, 99),
        "refused_otherwise": sum(count for how, count in refused.items() if not how.startswith("RESOURCE_EXHAUSTED ")),
        "refused_without_a_time": sum(not has_time for _, _, has_time in ended),
        "cut_short": sum(run["cut_short"] for run in runs),
        "generator_late_p99_ms": _percentiles_ms([late for run in runs for late in run["late_s"]], 99)["p99"],
    }


def _percentiles_ms(seconds: list[float], *parts: int) -> dict[str, float | None]:
    return {f"p{part}": 1000 * percentile(seconds, part) if seconds else None for part in parts}


@contextmanager
def memory_of(process_id: int) -> Iterator[list[tuple[float, int]]]:
    """Seconds and bytes, gathered while the block runs."""
    seen: list[tuple[float, int]] = []
    over, began = threading.Event(), time.perf_counter()

    def look() -> None:
        while not over.wait(LOOK_EVERY_S):
            seen.append((time.perf_counter() - began, resident_bytes(process_id)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def growth(seen: list[tuple[float, int]]) -> dict[str, float]:
    """Memory in the second third and in the last one: what grows is larger in the last."""
    third = len(seen) // 3
    second, last = ([size for _, size in part] for part in (seen[third : 2 * third] or seen, seen[2 * third :] or seen))
    slope = float(np.polyfit([at for at, _ in seen[third:]], [size for _, size in seen[third:]], 1)[0])
    return {
        "memory_mb": last[-1] / 1e6,
        "memory_last_third_against_second": (sum(last) / len(last)) / (sum(second) / len(second)),
        "memory_slope_mb_per_minute": 60 * slope / 1e6,
    }


def shown(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures for people."""
    rows = [("capacity", f"{figures['capacity_per_s']:.1f} searches/s")]
    for name in ("normal", "overload", "soak"):
        if run := figures.get(name):
            rows += [
                (f"{name}: answered", f"{run['answered']:,}"),
                ("   p50 / p95 / p99", _in_words(*run["answered_ms"].values())),
                ("   refused", ", ".join(f"{count:,} {how}" for how, count in run["refused"].items()) or "none"),
                (
                    "   refused otherwise, or without a time",
                    f"{run['refused_otherwise']}, {run['refused_without_a_time']}",
                ),
                ("   refused after, p50 / p99", _in_words(*run["refused_ms"].values())),
                ("   answers that were not whole", f"{run['cut_short']}"),
                ("   sent late, p99", _in_words(run["generator_late_p99_ms"])),
            ]
    rows.append(("p99 in overload against normal", f"{figures['overload']['p99_against_normal']:.2f}"))
    by_round = figures["overload"]["p99_against_normal_by_round"]
    rows.append(("   by round", ", ".join(f"{ratio:.2f}" for ratio in by_round)))
    if statuses := figures.get("k6_statuses"):
        rows.append(("overload as k6 sees it", ", ".join(f"{count:,} {status}" for status, count in statuses.items())))
    if soak := figures.get("soak"):
        rows += [
            ("memory after the soak", f"{soak['memory_mb']:,.0f} MB"),
            ("   its last third against its second", f"{soak['memory_last_third_against_second']:.4f}"),
            ("   slope", f"{soak['memory_slope_mb_per_minute']:+.2f} MB a minute"),
        ]
    return rows


def _in_words(*times_ms: float | None) -> str:
    return " / ".join("-" if time is None else f"{time:.0f}" for time in times_ms) + " ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=30.0, help="for capacity, normal and overload, each")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of normal and overload, in turns")
    parser.add_argument("--soak-s", type=float, default=600.0)
    parser.add_argument("--k6", type=Path, help="the k6 program, as a witness: `make load` installs it")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    load = Load(given.rows, given.dim, given.seconds, given.soak_s, given.k6, given.rounds)
    load.run()
    print_table(f"load on {given.rows:,} rows of {given.dim}", shown(load.figures), ("", ""))
    write_json(given.json, load.figures)


if __name__ == "__main__":
    main()
