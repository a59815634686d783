"""A sample of the bench of the gateway: what it fails for, and a node that hostile peers do not end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.gateway import failures
from bench.gateway_hostile import inflated, send_objects, send_streams
from bench.hostile_objects import mutations
from bench.process import peak_resident_bytes
from unseen_client.gateway.node_process import NodeProcess
from unseen_client.gateway.node_settings import NodeSettings
from unseen_client.gateway.queue import Queue

pytestmark = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed: make system")


def test_what_must_not_be_is_told() -> None:
    wire = {
        "identifiers found": [],
        "identifiers found in the originals": 1187,
        "accepted": 6,
        "refused": 1,
        "reports among them": 2,
        "reports enrolled": 2,
    }
    once = {"lost": 0, "doubled": 0, "not asked for": 0, "refused": 0}
    hostile = {
        "left waiting": 0,
        "node restarts": 0,
        "peak MiB": {"node_child": 111},
        "enrolled": 0,
        "in quarantine": 3,
    }
    assert failures({"wire": wire, "once": once, "hostile": hostile}) == []
    assert failures({"wire": wire | {"identifiers found": ["0: PatientName"]}}) == ["identifiers on the wire"]
    assert failures({"wire": wire | {"identifiers found in the originals": 0}}) == ["the search is blind"]
    assert failures({"wire": wire | {"refused": 6}}) == ["nothing was sent on"]
    assert failures({"wire": wire | {"reports enrolled": 1}}) == ["reports were not sent on"]
    assert failures({"hostile": hostile | {"in quarantine": 0}}) == ["nothing came through"]
    assert failures({"once": once | {"lost": 1, "doubled": 1}}) == ["lost", "doubled"]
    assert failures({"hostile": hostile | {"left waiting": 1, "peak MiB": {"node_child": 513}}}) == ["stuck", "memory"]


def test_the_search_looks_into_what_is_deflated() -> None:
    import gzip
    import zlib

    secret = b"DOE^JANE^1955"
    for packed in (zlib.compress(secret), gzip.compress(secret)):
        assert list(inflated(bytes(50) + packed + bytes(50))) == [secret]


def test_a_node_takes_hostile_objects_and_streams_and_goes_on(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue", bytes(32), 1 << 40)
    settings = NodeSettings(port=0, senders=("PYNETDICOM",), idle_s=30.0)
    node = NodeProcess(settings, queue.folder, bytes(32), 1 << 40)
    try:
        process_id = node.process_id
        outcomes = send_objects(node.port, mutations(6, 1))
        streams = send_streams(node.port, 50, 1)
        assert outcomes["status 0000, the association survives"] == len(queue.waiting()) == 6
        assert streams["echoes in between, answered"] == 1
        assert (node.process_id, node.restarts, streams["left open"]) == (process_id, 0, 0)
        assert peak_resident_bytes(process_id) >> 20 < 512
    finally:
        node.close()
