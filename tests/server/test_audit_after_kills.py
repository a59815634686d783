"""kill -9 at any moment leaves no gap in the audit log: no effect without a leaf, no acknowledgement without its own.

UNSEEN_AUDIT_KILLS sets how often (3 here).
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc

from tests.waiting import until
from unseen.audit.leaf import leaf_fields
from unseen.audit.receipt import METADATA_KEY, Receipt
from unseen.entropy import random_uid
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store.sqlite import SqliteStore
from unseen.v1 import index_pb2_grpc
from unseen_server.audit import Audit
from unseen_server.keys.choice import RING_FOLDER
from unseen_server.master_key import open_master_key
from unseen_server.signing import open_signing_key

KILLS = int(os.environ.get("UNSEEN_AUDIT_KILLS", "3"))


def enrol_until_killed(
    caller: Any, requests_of: Callable[[bytes], list[Any]], acknowledged: dict[bytes, Receipt], tried: list[bytes]
) -> None:
    """Enrol one row after the other, each once, until the server is gone."""
    stub = index_pb2_grpc.IndexServiceStub(caller.channel)
    while True:
        request_id = random_uid()
        tried.append(request_id)
        try:
            _, done = stub.EnrolRows.with_call(iter(requests_of(request_id)), timeout=30)
        except grpc.RpcError:
            return
        acknowledged[request_id] = Receipt.from_bytes(dict(done.trailing_metadata())[METADATA_KEY])


def test_a_kill_at_any_moment_leaves_no_gap(make_server: Any, call: Any, make_rows: Any, enrolment_of: Any) -> None:
    server = make_server()
    acknowledged: dict[bytes, Receipt] = {}
    tried: list[bytes] = []
    for life in range(KILLS):
        caller = call(server.start())
        uid = (caller.create() if life == 0 else caller.collection()).uid
        requests_of = partial(requests_for_one_row, enrolment_of, make_rows, uid)
        work = threading.Thread(target=enrol_until_killed, args=(caller, requests_of, acknowledged, tried))
        work.start()
        if life == KILLS - 1:
            until("an enrolment is acknowledged", lambda: acknowledged)
        time.sleep(0.05 + random.random() * 0.4)
        server.stop(signal.SIGKILL)
        work.join()
        require_no_gap(server, acknowledged, tried)


def requests_for_one_row(enrolment_of: Any, make_rows: Any, uid: bytes, request_id: bytes) -> list[Any]:
    messages: list[Any] = enrolment_of(uid, make_rows(1)[1], request_id)
    return messages


def require_no_gap(server: Any, acknowledged: dict[bytes, Receipt], tried: list[bytes]) -> None:
    provider = HeldKey("file", open_master_key(server.master_key, make=False))
    store = SqliteStore(server.data, KeyRings(server.folder / RING_FOLDER, provider))
    audit = Audit(server.data / "audit", store, open_signing_key(store))
    log = audit.log_of("")
    leaves = [leaf_fields(leaf) for leaf in log.leaves()]
    by_request: dict[object, list[object]] = {}
    for leaf in leaves:
        by_request.setdefault(leaf.get("request"), []).append(leaf["outcome"])
    for request_id in tried:
        if store.knows_request(request_id):
            assert "ASKED" in by_request[request_id.hex()], "an effect without a leaf"
    for request_id, receipt in acknowledged.items():
        assert by_request[request_id.hex()] == ["ASKED", "OK"], "an acknowledgement without its outcome"
        assert leaf_fields(receipt.leaf) == leaves[receipt.index]
    assert log.verify() == len(leaves)
    audit.close()
    store.close()
