"""What does an agreement cost a search and an enrolment, and what does it cost to overwrite freed memory?

    python -m bench.agreements --rows N --dim 512 --json FILE

Two real servers, one of which leaves freed memory as it is. In the other the same rows stand in three collections: one
without an agreement; one whose rows may all be searched for the stated purpose; one in which every second thousand is
for another purpose, so that half of the extents are left out. The sides take turns, query by query, and each scans all
or half of the same number of rows on the same threads.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import write_json
from bench.server_process import serving
from bench.sides import in_turn, parser_of, ratios, show, spread_ms
from bench.terms import OTHER, PURPOSE, TERMS
from bench.timed_client import TimedClient
from bench.vectors import clustered_vectors
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_server.process import STARTED_OVER

SEED = 19
PAUSE_S = 0.2
"""Between searches: pools of key material and masks fill up."""
ROWS_EACH = 1000
ENROLMENTS = 8


@dataclass(frozen=True)
class Side:
    """One way to keep and search the rows."""

    overwrites: bool
    purposes: tuple[str, ...]
    """What thousand after thousand is enrolled for; none without an agreement."""

    @property
    def purpose(self) -> str | None:
        return self.purposes[0] if self.purposes else None


SIDES: Mapping[str, Side] = {
    "no agreement, freed memory left as it is": Side(False, ()),
    "no agreement": Side(True, ()),
    "an agreement": Side(True, (PURPOSE,)),
    "an agreement, half of the rows for another purpose": Side(True, (PURPOSE, OTHER)),
}
"""The first one is what the others are compared with."""


class Agreements:
    """Two servers and a collection for every side."""

    def __init__(self, rows: int, dimension: int, repeats: int) -> None:
        self.rows, self.dimension, self.repeats = rows, dimension, repeats
        self.figures: dict[str, Any] = {"rows": rows, "dim": dimension, "repeats": repeats}
        self._random = np.random.default_rng(SEED + 1)
        self._enrolled: dict[str, int] = dict.fromkeys(SIDES, 0)

    def run(self) -> None:
        """Enrol, search in turns, enrol in turns."""
        vectors = clustered_vectors(self.rows, self.dimension, SEED)
        with ExitStack() as held:
            clients = {overwrites: start(overwrites, held) for overwrites in (False, True)}
            for name, side in SIDES.items():
                make_collection(clients[side.overwrites], name, side, self.dimension)
                for first in range(0, self.rows, ROWS_EACH):
                    self._enrol(clients[side.overwrites], name, vectors[first : first + ROWS_EACH])
            self._search(clients, vectors)
            self._enrol_in_turns(clients)

    def _enrol(self, client: TimedClient, name: str, vectors: np.ndarray) -> float:
        side, so_far = SIDES[name], self._enrolled[name]
        ids = [str(row) for row in range(so_far, so_far + len(vectors))]
        self._enrolled[name] += len(vectors)
        stated: dict[str, Any] = {}
        if side.purposes:
            stated = {"subject": "nobody", "purpose": side.purposes[so_far // ROWS_EACH % len(side.purposes)]}
        began = time.perf_counter()
        client.enrol_vectors(collection_of(name), ids, vectors, **stated)
        return time.perf_counter() - began

    def _search(self, clients: Mapping[bool, TimedClient], vectors: np.ndarray) -> None:
        seconds: dict[str, list[float]] = {name: [] for name in SIDES}
        waits: dict[str, list[float]] = {name: [] for name in SIDES}
        for round_number in range(-1, self.repeats):
            query = vectors[self._random.integers(0, self.rows)]
            for name in in_turn(SIDES, round_number):
                client = clients[SIDES[name].overwrites]
                client.wait_for_pool(client.packing_of(collection_of(name)))
                time.sleep(PAUSE_S)
                _, times = client.timed_search(collection_of(name), query, purpose=SIDES[name].purpose)
                if round_number >= 0:
                    seconds[name].append(times.total)
                    waits[name].append(times.wait)
        self.figures["search_ms"] = {name: spread_ms(values) for name, values in seconds.items()}
        self.figures["server_part_ms"] = {name: spread_ms(values) for name, values in waits.items()}
        self.figures["search_ratio"] = ratios(seconds)

    def _enrol_in_turns(self, clients: Mapping[bool, TimedClient]) -> None:
        seconds: dict[str, list[float]] = {name: [] for name in SIDES}
        for round_number in range(-1, min(ENROLMENTS, self.repeats)):
            for name in in_turn(SIDES, round_number):
                vectors = self._random.standard_normal((ROWS_EACH, self.dimension)).astype(np.float32)
                taken = self._enrol(clients[SIDES[name].overwrites], name, vectors)
                if round_number >= 0:
                    seconds[name].append(taken)
        self.figures["enrol_rows_per_s"] = {name: ROWS_EACH / statistics.median(one) for name, one in seconds.items()}
        self.figures["enrol_ratio"] = ratios(seconds)


def start(overwrites: bool, held: ExitStack) -> TimedClient:
    """A real server and its client; a server that was told it started over already leaves freed memory as it is."""
    folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
    command = [sys.executable, "-m", "unseen_server", "--data", str(folder / "data"), "--listen", "127.0.0.1:0"]
    command += ["--master-key", str(folder / "key")]
    environment = os.environ | ({} if overwrites else {STARTED_OVER: "1"})
    address = held.enter_context(serving(command, folder / "log", environment)).address
    ControllerKeys(folder / "device").make("controller")
    return held.enter_context(TimedClient(address, home=folder / "device", timeout_s=300.0))


def make_collection(client: TimedClient, name: str, side: Side, dimension: int) -> None:
    """An empty one, with its agreement and a consent to everything if there is to be one."""
    client.create_collection(collection_of(name), dimension=dimension, keep_vectors=False)
    if side.purposes:
        client.set_policy(collection_of(name), TERMS)
        client.record_consent(collection_of(name), "nobody")


def collection_of(name: str) -> str:
    return f"side-{list(SIDES).index(name)}"


def main() -> None:
    given = parser_of(__doc__).parse_args()
    bench = Agreements(given.rows, given.dim, given.repeats)
    bench.run()
    title = f"one search of {given.rows:,} rows of {given.dim}: what an agreement costs it"
    show(title, bench.figures)
    write_json(given.json, bench.figures)


if __name__ == "__main__":
    main()
