"""A disk that loses the end of the store's log loses changes: the next start says so, and writes it down."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]


def acts(caller: Any) -> list[tuple[str, int | None]]:
    return [(leaf["act"], leaf.get("count")) for leaf in map(json.loads, caller.exported_leaves())]


@pytest.mark.parametrize("lost", [False, True])
def test_changes_that_the_disk_lost_are_told_once_and_no_others(
    make_server: Make, call: Make, make_rows: Make, lost: bool
) -> None:
    server = make_server().start()
    caller = call(server)
    uid = caller.create().uid
    batches = [make_rows(3)[1] for _ in range(4)]
    for batch in batches:
        caller.enrol(uid, batch)
    server.stop(signal.SIGKILL)
    log = server.data / "unseen.sqlite-wal"
    content = log.read_bytes()
    if lost:
        log.write_bytes(content[: len(content) - 20000])  # the last transaction's last pages
    caller = call(server.start())
    told = [count for act, count in acts(caller) if act == "changes-missing"]
    assert told == ([1] if lost else [])
    assert ("does not hold" in server.log()) == lost
    there = set(caller.sync(uid)[1])
    assert there == {row_id for batch in (batches[:-1] if lost else batches) for row_id in batch.row_ids}
    assert server.stop() == 0
    caller = call(server.start())
    assert [count for act, count in acts(caller) if act == "changes-missing"] == told
    assert server.stop() == 0
