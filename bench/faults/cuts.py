"""The network breaks after each byte of an enrolment, either way, and the client tries again: rows are there once.

The real client, a real server, and a proxy between them that closes the connection after k bytes. Every enrolment is
two rows over a connection of its own, from the first byte of HTTP/2 to the last of the answer. Afterwards the server is
stopped and its audit log is read: every enrolment was begun and is done. (Of a try whose caller was gone before its
answer, the log holds the beginning.)
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.faults.flaky_proxy import NO_CUT, Cut, FlakyProxy
from unseen.audit.leaf import ASKED, DONE, leaf_fields
from unseen_client import Client
from unseen_client.demo.stage import LOOPBACK, Stage
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.opening import open_audit
from unseen_server.storage import open_store

DIMENSION, ROWS = 16, 2
LANES = 4
"""Enrolments side by side, each lane in a collection of its own: most of their time is the client's pause."""
TIMEOUT_S = 300.0
MORE_BYTES = 64
"""Beyond what an enrolment took: none is quite as long as another, because deadlines are sent as text."""

Fields = dict[str, Any]


@dataclass
class Broken:
    """What became of enrolments whose connection broke."""

    tried: int = 0
    cut: int = 0
    """The connection was closed before the enrolment was over; the others had fewer bytes than k."""
    lost: int = 0
    """Rows that were acknowledged and are not there."""
    twice: int = 0
    """Rows that are there more often than once, or that nobody acknowledged."""
    audit_gaps: int = 0
    """Enrolments without a leaf that says that they were begun, or done; answers to nothing."""


class Lane:
    """A client behind a proxy, and its collection."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._name = name
        self.proxy = FlakyProxy(f"{LOOPBACK}:{stage.port}")
        self.client = Client(self.proxy.address, home=stage.home / name, timeout_s=TIMEOUT_S)
        self.client.create_collection(name, dimension=DIMENSION)
        self.acknowledged: list[str] = []
        self.cut = 0

    def enrol(self, *cuts: Cut) -> None:
        """Two more rows, over connections of which the first ones are cut."""
        number = len(self.acknowledged)
        ids = [f"{number + at}" for at in range(ROWS)]
        was_cut = threading.Event()
        self.proxy.on_cut = was_cut.set
        self.proxy.cut_next(*cuts)
        vectors = np.random.default_rng(number).standard_normal((ROWS, DIMENSION)).astype(np.float32)
        report = self.client.enrol_vectors(self._name, ids, vectors)
        self.acknowledged += report.ids
        self.cut += was_cut.is_set()

    def close(self) -> None:
        """Hang up."""
        self.client.close()
        self.proxy.close()

    def check(self, result: Broken) -> None:
        """Hold the rows that the server has against those that were acknowledged."""
        self.proxy.cut_next()
        there = Counter(record.id for record in self.client.list(self._name))
        acknowledged = Counter(self.acknowledged)
        result.lost += (acknowledged - there).total()
        result.twice += (there - acknowledged).total()
        result.twice += self.client.collection(self._name).rows != there.total()


def cut_everywhere(every: int) -> dict[str, Broken]:
    """Enrolments whose connection is cut after k bytes, for k = 0, ``every`` and so on: up, then down."""
    return {way: _cut_one_way(way, every) for way in ("up", "down")}


def _cut_one_way(way: str, every: int) -> Broken:
    """With a server and an audit log of its own."""
    stage = Stage()
    try:
        stage.start()
        result, enrolments = _enrolments(stage, way, every)
        stage.stop()
        result.audit_gaps = _audit_gaps(stage, enrolments)
    finally:
        stage.close()
    return result


def _enrolments(stage: Stage, way: str, every: int) -> tuple[Broken, int]:
    """What became of them, and how many were acknowledged, those included that only measured."""
    result = Broken()
    lanes = [Lane(stage, f"{way}-{number}") for number in range(LANES)]
    try:
        places = range(0, _longest(lanes[0], way) + MORE_BYTES, every)
        with ThreadPoolExecutor(LANES) as threads:
            for done in [threads.submit(_enrol, lane, way, places[at::LANES]) for at, lane in enumerate(lanes)]:
                done.result()
        for lane in lanes:
            lane.check(result)
            result.cut += lane.cut
        result.tried += len(places)
        return result, sum(len(lane.acknowledged) for lane in lanes) // ROWS
    finally:
        for lane in lanes:
            lane.close()


def _longest(lane: Lane, way: str) -> int:
    """Bytes of an enrolment that is not cut."""
    longest = 0
    for _ in range(3):
        lane.enrol(NO_CUT)
        longest = max(longest, lane.proxy.bytes_up if way == "up" else lane.proxy.bytes_down)
    return longest


def _enrol(lane: Lane, way: str, places: Sequence[int]) -> None:
    for place in places:
        lane.enrol((place, None) if way == "up" else (None, place))


def _audit_gaps(stage: Stage, enrolments: int) -> int:
    """Read the log of the server that was stopped."""
    config = Config(stage.data, LOOPBACK, 0, MasterKeyChoice.of_file(Path(stage.master_key)), None, 1)
    store = open_store(config)
    try:
        audit = open_audit(config, store)
        try:
            log = audit.log_of("")
            log.verify()
            leaves = [leaf_fields(leaf) for leaf in log.leaves()]
        finally:
            audit.close()
    finally:
        store.close()
    # Without a request there was no message: the connection was cut behind the headers.
    of_enrolments = [leaf for leaf in leaves if leaf["act"] == "EnrolRows" and "request" in leaf]
    begun = {leaf["request"] for leaf in of_enrolments if leaf["outcome"] == ASKED}
    done = {leaf["request"] for leaf in of_enrolments if leaf["outcome"] == DONE}
    unasked = sum(not _answers(leaf, leaves) for leaf in of_enrolments if leaf["outcome"] != ASKED)
    return len(begun ^ done) + abs(len(done) - enrolments) + unasked


def _answers(leaf: Fields, leaves: Sequence[Fields]) -> bool:
    """Whether a leaf names the one that said that its act was about to be tried."""
    at = leaf.get("asked")
    return isinstance(at, int) and leaves[at]["outcome"] == ASKED and leaves[at].get("request") == leaf["request"]
