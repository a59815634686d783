"""A disk that loses the end of the store's log loses changes: the next start says so, and writes it down."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.key_rings import rings_beside
from tests.server.governance.steward import Steward
from tests.server.in_process import config
from unseen.audit.leaf import Details
from unseen.bearer import BearerToken
from unseen.errors import StoreFailed
from unseen.store.durable import DurableStore
from unseen.store.sqlite import SqliteStore
from unseen_server.audit import AUDIT_FOLDER, Audit
from unseen_server.call import LOCAL, Caller, Role
from unseen_server.missing_changes import count_missing_changes
from unseen_server.opening import opened_alone
from unseen_server.signing import open_signing_key

Make = Callable[..., Any]


def acts(caller: Any) -> list[tuple[str, int | None]]:
    return [(leaf["act"], leaf.get("count")) for leaf in map(json.loads, caller.exported_leaves())]


@pytest.mark.parametrize(("lost", "first"), [(False, "server"), (True, "server"), (True, "command")])
def test_changes_that_the_disk_lost_are_told_once_and_no_others(
    make_server: Make, call: Make, make_rows: Make, lost: bool, first: str
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
    if first == "command":
        command = [sys.executable, "-m", "unseen_server.access", "list", "--data", str(server.data)]
        result = subprocess.run([*command, "--master-key", str(server.master_key)], capture_output=True, text=True)
        assert (result.returncode, "does not hold" in result.stderr) == (0, True), result.stderr
    caller = call(server.start())
    told = [count for act, count in acts(caller) if act == "changes-missing"]
    assert told == ([1] if lost else [])
    assert ("does not hold" in server.log()) == (lost and first == "server")
    there = set(caller.sync(uid)[1])
    assert there == {row_id for batch in (batches[:-1] if lost else batches) for row_id in batch.row_ids}
    assert server.stop() == 0
    caller = call(server.start())
    assert [count for act, count in acts(caller) if act == "changes-missing"] == told
    assert server.stop() == 0


OF_ACCESS = {
    "a token": lambda steward, uid: steward.caller.create_token(),
    "a revocation": lambda steward, uid: steward.caller.revoke(uid),
    "an emergency": lambda steward, uid: steward.break_glass(),
    "the end of one": lambda steward, uid: steward.break_glass(grantee="night doctor", end=True),
}
"""What changes who may do what; the uid is that of a token."""


@pytest.mark.parametrize("change", OF_ACCESS)
def test_start_tells_that_the_disk_lost_who_may_do_what(
    make_server: Make, call: Make, write_grants: Make, tmp_path: Path, change: str
) -> None:
    texts = write_grants(tmp_path, {name: Caller("", name, frozenset(Role)) for name in ("head", "leaver")})
    server = make_server().start()
    head = call(server, token=texts["head"])
    steward = Steward(head, head.create().uid)
    steward.set_policy()
    steward.break_glass(grantee="night doctor")
    log = server.data / "unseen.sqlite-wal"
    bytes_before = log.stat().st_size
    OF_ACCESS[change](steward, BearerToken.parse(texts["leaver"]).uid)
    server.stop(signal.SIGKILL)
    log.write_bytes(log.read_bytes()[:bytes_before])
    told = [count for act, count in acts(call(server.start(), token=texts["head"])) if act == "changes-missing"]
    assert (told, "does not hold" in server.log()) == ([1], True)
    call(server, token=texts["leaver"]).access()  # stands, also where its revocation was acknowledged


@pytest.mark.parametrize("tenant", ["", "clinic"])
def test_lost_change_of_a_tenant_that_the_store_does_not_know_is_missed_until_it_was_told(
    tmp_path: Path, tenant: str
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    caller = Caller(tenant, "somebody", frozenset())

    def opened() -> Audit:
        return Audit(tmp_path / AUDIT_FOLDER, store, open_signing_key(store))

    audit = opened()
    audit.record_now(caller, "CreateCollection", details=Details(request_id=bytes(range(16))))
    audit.close(checkpoints=False)
    for tells in (False, True):
        audit = opened()
        assert count_missing_changes(store, audit) == 1
        audit.record_now(caller, "ListCollections")
        if tells:
            for log in audit.logs():
                log.forget_tail()
        audit.close()
    audit = opened()
    assert count_missing_changes(store, audit) == 0
    assert [log.tail for log in audit.logs()] == [()]
    audit.close()
    store.close()


def test_command_whose_store_does_not_end_well_writes_its_leaves_and_has_the_next_start_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = DurableStore.close

    def end_badly(store: DurableStore) -> None:
        close(store)
        raise StoreFailed("the disk did not take the last of the log")

    with opened_alone(config(tmp_path)) as (_, audit):
        audit.record_now(LOCAL, "create-token")
    (checkpoint,) = (tmp_path / "data" / AUDIT_FOLDER).glob("*/checkpoint")
    before = checkpoint.read_bytes()
    opened = ExitStack()
    _, audit = opened.enter_context(opened_alone(config(tmp_path)))
    leaf = audit.record(LOCAL, "create-token")
    monkeypatch.setattr(DurableStore, "close", end_badly)
    with pytest.raises(StoreFailed, match="last of the log"):
        opened.close()
    assert leaf.done(), "the log let go of its files only after all that waited"
    with pytest.raises(StoreFailed, match="the audit log is closed"):
        audit.record(LOCAL, "create-token")
    assert checkpoint.read_bytes() == before
