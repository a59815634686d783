"""A short sample of `make load`: real searches, three times as many as the server can answer, by the bench's generator.

The server's scans are slowed down, so that a few searches a second are too many and the sample takes little of the
machine. No latency is judged here; the figures of a whole run are in docs/evidence.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import load
from unseen.he.scan import ScanIndex
from unseen.v1 import search_pb2
from unseen_client import Client
from unseen_server import app, limits
from unseen_server.call import Allowance
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice

BATCH_S = 0.05
UNLIMITED = Allowance(10**6, 10**12, 10**6, 10**9)


@pytest.fixture
async def slow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[app.RunningServer]:
    batch = ScanIndex._batch

    def slow(index: ScanIndex, *args: Any) -> bytes:
        time.sleep(BATCH_S)
        return batch(index, *args)

    monkeypatch.setattr(ScanIndex, "_batch", slow)
    monkeypatch.setattr(limits, "MAX_SCANS_WAITING", 4)
    config = Config(
        tmp_path / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(tmp_path / "key"), None, 1, everybody=UNLIMITED
    )
    server = await app.start(config)
    yield server
    await server.stop()


async def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(work, *args)


async def test_flood_is_refused_in_the_right_words_and_the_rest_is_answered_wholly(
    slow_server: app.RunningServer, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{slow_server.port}"
    vectors = np.random.default_rng(1).standard_normal((load.QUERIES, 64)).astype(np.float32)

    def prepare() -> Path:
        with Client(address, home=tmp_path / "home") as local:
            token = local.create_token("load", ["reader", "contributor"])
        with Client(address, home=tmp_path / "home", token=token) as client:
            client.create_collection("load", dimension=64)
            client.enrol_vectors("load", [str(row) for row in range(len(vectors))], vectors)
            return load.record(tmp_path / "messages.json", client.collection("load"), vectors, token)

    messages = await in_thread(prepare)
    flood = 3 * limits.SCANS_AT_ONCE / BATCH_S  # in two seconds fewer searches than gRPC itself lets in
    outcomes = await in_thread(load.generate, address, messages, 2.0, "--rate", str(flood))
    found = load.summary([outcomes], 0.0)
    assert found["answered"] > 0
    assert found["refused"].keys() == {"RESOURCE_EXHAUSTED SERVER_BUSY"}
    assert (found["refused_otherwise"], found["refused_without_a_time"], found["cut_short"]) == (0, 0, 0)


async def test_recorded_searches_are_those_of_the_contract(slow_server: app.RunningServer, tmp_path: Path) -> None:
    """Header first, then the query, each of its own; a server that is not told better takes them for a client's."""
    address = f"127.0.0.1:{slow_server.port}"

    def prepare() -> Path:
        with Client(address, home=tmp_path / "home") as client:
            collection = client.create_collection("load", dimension=64)
            return load.record(tmp_path / "messages.json", collection, np.eye(load.QUERIES, 64, dtype=np.float32), "t")

    queries = load.recorded_queries(await in_thread(prepare))
    parts = [[search_pb2.SearchRequest.FromString(part) for part in query] for query in queries]
    assert all([part.WhichOneof("part") for part in query] == ["header", "query"] for query in parts)
    assert len({query[1].query for query in parts}) == load.QUERIES


def test_memory_that_grows_is_seen_and_memory_that_does_not_is_not() -> None:
    steady = [(float(at), 10**9 + (at % 3) * 10**6) for at in range(300)]
    assert abs(load.growth(steady)["memory_slope_mb_per_minute"]) < 0.1
    assert load.growth(steady)["memory_last_third_against_second"] == pytest.approx(1, abs=1e-3)
    leaking = [(float(at), 10**9 + at * 10**5) for at in range(300)]
    assert load.growth(leaking)["memory_slope_mb_per_minute"] == pytest.approx(6)


def test_summary_counts_what_it_is_given() -> None:
    outcomes = {
        "answered": [[0.0, 9.0], [4.0, 0.1], [5.0, 0.3]],
        "refused": [["RESOURCE_EXHAUSTED SERVER_BUSY", 0.01, True], ["UNAVAILABLE -", 0.02, False]],
        "cut_short": 1,
        "late_s": [0.001],
    }
    found = load.summary([outcomes], from_s=3.0)
    assert (found["answered"], found["answered_ms"]["p99"]) == (2, 300)
    assert found["refused"] == {"RESOURCE_EXHAUSTED SERVER_BUSY": 1, "UNAVAILABLE -": 1}
    assert (found["refused_otherwise"], found["refused_without_a_time"], found["cut_short"]) == (1, 1, 1)
    twice = load.summary([outcomes, outcomes], from_s=3.0)
    assert (twice["answered"], twice["refused_otherwise"], twice["cut_short"]) == (4, 2, 2)
    quiet = {"answered": [[1.0, 0.2]], "refused": [], "cut_short": 0, "late_s": []}
    assert load.p99_ratio([quiet], [outcomes]) == pytest.approx(1.5)


def test_a_server_that_answers_nothing_is_not_the_fastest() -> None:
    quiet = {"answered": [[5.0, 0.2]], "refused": [], "cut_short": 0, "late_s": []}
    dead: dict[str, Any] = {"answered": [], "refused": [["UNAVAILABLE -", 0.0, False]], "cut_short": 0, "late_s": []}
    for normal, overload in ((quiet, dead), (dead, quiet)):
        with pytest.raises(SystemExit, match=r"nothing was answered .*UNAVAILABLE"):
            load.p99_ratio([normal], [overload])
    found = load.summary([dead], 0.0)
    assert found["answered_ms"] == {"p50": None, "p95": None, "p99": None}
    figures = {
        "capacity_per_s": 1.0,
        "normal": load.summary([quiet], 0.0),
        "overload": found | {"p99_against_normal": 1.0, "p99_against_normal_by_round": [1.0]},
    }
    words = dict(load.shown(figures))
    assert words["   p50 / p95 / p99"] == "- / - / - ms"
