"""A disk that refuses: nothing more is acknowledged, the server stops with an error, and a restart finds what was."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.server.in_process import config
from unseen.v1 import index_pb2, index_pb2_grpc
from unseen_server import app
from unseen_server.call import LOCAL

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
        refusal = caller.refusal_if_any(caller.enrol, uid, batch)
        if refusal is None:
            acknowledged.append(batch)
    assert refusal.code == "STORE_FAILED"
    assert server.process.wait(timeout=60) == 1
    assert acknowledged
    caller.close()
    server.process.stdout.close()
    caller = call(server.start())
    _, entries, _ = caller.sync(uid)
    assert {row_id for batch in acknowledged for row_id in batch.row_ids} <= set(entries)
    assert len(entries) % 20 == 0


async def test_failure_that_no_caller_waits_for_stops_the_server(tmp_path: Path, call: Make, make_rows: Make) -> None:
    server = await app.start(config(tmp_path))
    try:
        caller = call(server)
        collection = await asyncio.to_thread(caller.create)
        _, batch = make_rows(5)
        await asyncio.to_thread(caller.enrol, collection.uid, batch)
        entered, caller_is_gone = threading.Event(), threading.Event()

        def no_room(*_: Any) -> None:
            entered.set()
            caller_is_gone.wait(30)
            raise MemoryError

        live: Any = server.engine.by_uid(LOCAL, collection.uid)
        live._index.clear = no_room
        erase = index_pb2_grpc.IndexServiceStub(caller.channel).EraseRows.future
        erasing = erase(
            index_pb2.EraseRowsRequest(request_id=bytes(16), collection_uid=collection.uid, row_ids=batch.row_ids[3])
        )
        await asyncio.to_thread(entered.wait, 30)
        under_way = len(asyncio.all_tasks())
        erasing.cancel()
        while len(asyncio.all_tasks()) >= under_way:  # until the server has seen that the caller left
            await asyncio.to_thread(caller.info)
        caller_is_gone.set()
        await asyncio.wait_for(server.store_failed.wait(), 30)
    finally:
        caller_is_gone.set()
        await server.stop()
    assert list((tmp_path / "data" / "audit").glob("*/leaves"))
    kept = list((tmp_path / "data" / "audit").glob("*/checkpoint"))
    assert kept == [], "the next start would not look for what the store may have lost"
