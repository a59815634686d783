"""A disk that refuses: nothing more is acknowledged, the server stops with an error, and a restart finds what was."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import grpc

Make = Callable[..., Any]

LARGEST_FILE_BYTES = 1 << 20


def limit_file_size() -> None:
    """From here on a write beyond the limit fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, LARGEST_FILE_BYTES))


def test_write_that_fails_ends_the_server_and_loses_nothing_acknowledged(
    make_server: Make, call: Make, make_rows: Make
) -> None:
    server = make_server().start(preexec_fn=limit_file_size)
    caller = call(server)
    uid = caller.create().uid
    acknowledged = []
    refusal = None
    while refusal is None:
        _, batch = make_rows(20, 16, 3000)
        try:
            caller.enrol(uid, batch)
            acknowledged.append(batch)
        except grpc.RpcError:
            refusal = caller.refusal(caller.enrol, uid, batch)
    assert refusal.status in {"INTERNAL", "UNAVAILABLE"}
    assert server.process.wait(timeout=60) == 1
    assert acknowledged
    caller.close()
    server.process.stdout.close()
    caller = call(server.start())
    _, entries, _ = caller.sync(uid)
    assert {row_id for batch in acknowledged for row_id in batch.row_ids} <= set(entries)
    assert len(entries) % 20 == 0
