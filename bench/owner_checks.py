"""What does looking at replies of an owner-encrypted collection cost the device, and what does it notice?

    python -m bench.owner_checks --rows 10000 --dim 512 --json FILE

Processor time of one search on the device: decrypting the reply, ranking it, and looking whether it can be true. Then
how many of many random queries notice one block from before its last change, of which a row more or less is all that
is wrong. The server is the tests' paper server with the real scan.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt

from bench.measure import PASSPHRASE, medians, print_table, write_json
from bench.vectors import unit_vectors
from tests.client.hand_driver import Driver
from tests.client.owner_paper import OwnerPaperServer
from unseen.errors import ReplyRefused
from unseen.he.owner.layout import choose
from unseen.params import OWNER_DEFAULT
from unseen_client.flows import search
from unseen_client.flows.owner import OwnerReply

Float32Array = npt.NDArray[np.float32]
STEPS = {
    "decrypting the reply": (OwnerReply, "raw_scores"),
    "ranking": (search, "_hits"),
    "looking whether it can be true": (search, "require_plausible"),
}
QUERIES = 15
TOP_K = 10


@contextmanager
def device(vectors: Float32Array) -> Iterator[tuple[Driver, OwnerPaperServer]]:
    """A device and a server of one collection with these rows."""
    server, dimension = OwnerPaperServer(), vectors.shape[1]
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(server, Path(folder) / "home")
        driver.session.vault.protect_with_passphrase(PASSPHRASE)
        driver(driver.protocol.create_collection("rows", None, dimension, None, True, protection="owner"))
        server.collections["rows"].factor = choose(OWNER_DEFAULT, dimension)
        driver.session.forget("rows")
        enrol(driver, vectors, 0)
        yield driver, server
        driver.session.close()
        server.close()


def enrol(driver: Driver, vectors: Float32Array, first: int) -> None:
    ids = [str(at) for at in range(first, first + len(vectors))]
    driver(driver.protocol.enrol_vectors("rows", ids, vectors, None))


def costs(rows: int, dimension: int) -> dict[str, float]:
    """Milliseconds of each step, medians over queries."""
    seconds: dict[str, list[float]] = {name: [] for name in STEPS}
    with device(unit_vectors(rows, dimension, 1)) as (driver, _):
        for query in unit_vectors(QUERIES, dimension, 2):
            with timed(seconds):
                driver(driver.protocol.search_vector("rows", query, TOP_K))
    return {name: value * 1e3 for name, value in medians(seconds).items()}


@contextmanager
def timed(seconds: dict[str, list[float]]) -> Iterator[None]:
    """Note the processor time of every step."""
    with ExitStack() as patched:
        for name, (holder, attribute) in STEPS.items():
            step = _timed(getattr(holder, attribute), seconds[name])
            patched.enter_context(mock.patch.object(holder, attribute, step))
        yield


def _timed(work: Callable[..., object], seconds: list[float]) -> Callable[..., object]:
    def step(*arguments: object) -> object:
        began = time.process_time()
        try:
            return work(*arguments)
        finally:
            seconds.append(time.process_time() - began)

    return step


def noticed(dimension: int, queries: int) -> dict[str, float]:
    """The part of random queries that notice an old block."""
    vectors = unit_vectors(4, dimension, 3)
    found = {}
    with device(vectors[:3]) as (driver, server):
        found["a row too few"] = refused(driver, server, vectors[3:], queries)
    with device(vectors[:3]) as (driver, server):
        driver(driver.protocol.erase("rows", ["1"], None))
        found["an erased row too many"] = refused(driver, server, None, queries)
    return found


def refused(driver: Driver, server: OwnerPaperServer, more: Float32Array | None, queries: int) -> float:
    """Serve the block from before the last change: how many queries notice it; without that, none may."""
    if more is not None:
        enrol(driver, more, 100)
    rates = []
    for version in (-1, -2):
        server.served[0] = version
        count = 0
        for query in unit_vectors(queries, server.collections["rows"].dimension, 4):
            try:
                driver(driver.protocol.search_vector("rows", query, 1))
            except ReplyRefused:
                count += 1
        rates.append(count / queries)
    if rates[0]:
        raise AssertionError("an honest reply was refused")
    return rates[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.owner_checks", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    spent, seen = costs(chosen.rows, chosen.dim), noticed(chosen.dim, chosen.queries)
    peer = spent["decrypting the reply"]
    print_table(
        f"one search of {chosen.rows:,} rows of {chosen.dim}, on the device",
        [(name, f"{value:.1f}", f"{value / peer:.2f}") for name, value in spent.items()],
        ("", "ms of processor", "against decrypting"),
    )
    print_table(
        f"an old block, noticed by {chosen.queries} random queries",
        [(name, f"{value:.3f}") for name, value in seen.items()],
        ("", "part"),
    )
    write_json(chosen.json, {"rows": chosen.rows, "dimension": chosen.dim, "ms": spent, "noticed": seen})


if __name__ == "__main__":
    main()
