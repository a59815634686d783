"""What does the whole life of an owner-encrypted collection cost, from enrolment to new keys?

    python -m bench.owner_road --rows 20000 --dim 512 --json FILE

One after the other, on a real server: enrol, search, erase rows of one block and of many, restart, a backup, a device
that is new, new keys. Of each step how long it took, which memory the server held at the end, and the most that the
device, this process, had held until then. Nothing is compared: times are those of the machine and of its other work.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.measure import PASSPHRASE, print_table, write_json
from bench.process import peak_resident_bytes, resident_bytes
from bench.timed_client import TimedClient
from bench.vectors import clustered_vectors
from unseen_client import Client, rpcs
from unseen_client.demo.proxy import RecordingProxy
from unseen_client.demo.stage import LOOPBACK, Stage
from unseen_client.keys.keystore import KeyStore
from unseen_client.keys.vault import Vault

COLLECTION = "bench"
SEED = 11
TIMEOUT_S = 3600.0
SEARCHES = 5
Result = TypeVar("Result")
ERASED = 10
"""Rows that follow each other, and then as many that are far apart."""


class Road:
    """One collection's life. Figures gather in ``steps`` and ``figures``."""

    def __init__(self, stage: Stage, rows: int, dimension: int) -> None:
        self._stage, self._rows, self._dimension = stage, rows, dimension
        self.steps: dict[str, dict[str, float]] = {}
        self.figures: dict[str, float] = {}

    @property
    def _address(self) -> str:
        return f"{LOOPBACK}:{self._stage.port}"

    def run(self) -> None:
        vectors = clustered_vectors(self._rows, self._dimension, SEED)
        ids = [str(row) for row in range(self._rows)]
        self._step("first start", self._stage.start)
        with TimedClient(self._address, home=self._stage.home, timeout_s=TIMEOUT_S, passphrase=PASSPHRASE) as client:
            client.create_collection(COLLECTION, dimension=self._dimension, protection="owner")
            self._step("enrol", partial(client.enrol_vectors, COLLECTION, ids, vectors))
            self.figures["bytes up a row"] = client.sent_bytes[rpcs.ENROL_ROWS.path] / self._rows
            self._searches(client, vectors, range(self._rows))
            self._step("erase ten of one block", partial(client.erase, COLLECTION, ids[:ERASED]))
            apart = ids[ERASED :: (self._rows - ERASED) // ERASED][:ERASED]
            self._step("erase ten of ten blocks", partial(client.erase, COLLECTION, apart))
            self._stage.stop()
            self._step("restart", self._stage.start)
            made = self._step("backup", partial(client.backup, self._stage.scratch))
            self.figures["backup, bytes a row"] = made.size_bytes / self._rows
            self._step("a new device, until it has the catalogue", self._new_device)
            self._step("new keys", partial(client.rotate_keys, COLLECTION))
            left = sorted(set(map(int, ids)) - set(map(int, [*ids[:ERASED], *apart])))
            if {record.id for record in client.list(COLLECTION)} != set(map(str, left)):
                raise SystemExit("rows were lost, or erased ones are back")
            self._searches(client, vectors, left)

    def _searches(self, client: TimedClient, vectors: npt.NDArray[np.float32], rows: Sequence[int]) -> None:
        """The median is in the table of ``bench.search``; here it is seen that the right rows are found."""
        found, times = [], []
        for row in rows[::-7][:SEARCHES]:
            hits, one = client.timed_search(COLLECTION, vectors[row], 1)
            found.append(hits == [str(row)])
            times.append(one.total)
        if not all(found):
            raise SystemExit("a row was not found by its own vector")
        self.figures["a search, ms"] = 1000 * sorted(times)[SEARCHES // 2]

    def _new_device(self) -> None:
        held, home = KeyStore(self._stage.home, Vault(self._stage.home, PASSPHRASE)), self._stage.folder / "second"
        KeyStore(home, Vault(home, PASSPHRASE)).put(held.named(COLLECTION))
        with RecordingProxy(LOOPBACK, self._stage.port) as proxy:
            with Client(proxy.address, home=home, timeout_s=TIMEOUT_S, passphrase=PASSPHRASE) as client:
                client.list(COLLECTION, limit=1)
            self.figures["catalogue, bytes down a row"] = proxy.traffic().down / self._rows

    def _step(self, name: str, work: Callable[[], Result]) -> Result:
        began = time.perf_counter()
        result = work()
        self.steps[name] = {
            "seconds": time.perf_counter() - began,
            "server_bytes": resident_bytes(self._stage.process_id),
            "device_peak_bytes": peak_resident_bytes(os.getpid()),
        }
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with Stage() as stage:
        road = Road(stage, given.rows, given.dim)
        road.run()
    lines = [
        (name, f"{one['seconds']:.1f}", f"{one['server_bytes'] / 1e6:,.0f}", f"{one['device_peak_bytes'] / 1e6:,.0f}")
        for name, one in road.steps.items()
    ]
    header = ("", "seconds", "server, MB", "device at most, MB")
    print_table(f"{given.rows:,} rows of {given.dim}, owner-encrypted", lines, header)
    print_table("and", [(name, f"{value:,.0f}") for name, value in road.figures.items()], ("", ""))
    write_json(given.json, {"rows": given.rows, "dim": given.dim, "steps": road.steps, **road.figures})


if __name__ == "__main__":
    main()
