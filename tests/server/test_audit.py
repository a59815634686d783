"""The server's audit: every act leaves its leaves before its answer, one log a tenant, receipts that verify."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.key_rings import rings_beside
from unseen.audit import tree
from unseen.audit.head import open_head
from unseen.audit.leaf import Details, leaf_fields
from unseen.audit.log import Log
from unseen.audit.proof import verify_inclusion
from unseen.errors import AuditUnavailable, StoreFailed
from unseen.store.sqlite import SqliteStore
from unseen_server.audit import Audit
from unseen_server.audited import _contradict
from unseen_server.call import LOCAL, Caller
from unseen_server.signing import open_signing_key

CLOCK_NS = 1_764_158_860_123_456_789
NURSE = Caller(tenant="radiology", name="nurse", roles=frozenset())


@pytest.fixture
def open_audit(tmp_path: Path) -> Iterator[Callable[..., Audit]]:
    """Opens store and audit of one folder; those opened before are closed first."""
    opened: list[tuple[Audit, SqliteStore]] = []

    def close() -> None:
        for audit, store in opened:
            audit.close()
            store.close()
        opened.clear()

    def open_(**options: Any) -> Audit:
        close()
        (tmp_path / "data").mkdir(exist_ok=True)
        store = SqliteStore(tmp_path / "data", rings_beside(tmp_path / "data"))
        opened.append((Audit(tmp_path / "data/audit", store, open_signing_key(store), **options), store))
        return opened[-1][0]

    yield open_
    close()


def leaves_of(audit: Audit, tenant: str = "") -> list[dict[str, object]]:
    return [leaf_fields(leaf) for leaf in audit.log_of(tenant).leaves()]


def test_a_receipt_proves_its_leaf(open_audit: Callable[..., Audit]) -> None:
    audit = open_audit(clock_ns=lambda: CLOCK_NS)
    uid = bytes(range(16))
    receipts = [audit.record_now(NURSE, "EraseRows", details=Details(collection=uid, rows=at + 1)) for at in range(5)]
    log = audit.log_of("radiology")
    for at, receipt in enumerate(receipts):
        head = open_head(receipt.head, log.origin, audit.public_keys)
        assert (receipt.index, head.size) == (at, at + 1)
        proof = log.inclusion_proof(at, head.size)
        verify_inclusion(tree.leaf_hash(receipt.leaf), at, head.size, proof, head.root)
    fields = leaf_fields(receipts[0].leaf)
    assert len(str(fields.pop("salt"))) == 32
    assert fields == {
        "version": 1,
        "act": "EraseRows",
        "who": "nurse",
        "tenant": "radiology",
        "time": "2025-11-26T12:07:40.123Z",
        "outcome": "OK",
        "collection": uid.hex(),
        "rows": 1,
    }


def test_tenants_have_logs_of_their_own_that_do_not_count_each_other(open_audit: Callable[..., Audit]) -> None:
    audit = open_audit()
    for _ in range(3):
        audit.record_now(LOCAL, "Search")
    assert audit.record_now(NURSE, "Search").index == 0
    assert (audit.log_of("").size, audit.log_of("radiology").size) == (3, 1)
    assert audit.log_of("").origin != audit.log_of("radiology").origin
    again = open_audit()
    assert (again.log_of("").size, again.log_of("radiology").size) == (3, 1)


def test_many_threads_get_one_leaf_each_and_share_writes(open_audit: Callable[..., Audit], tmp_path: Path) -> None:
    audit = open_audit()
    with ThreadPoolExecutor(16) as threads:
        receipts = list(threads.map(lambda _: audit.record_now(NURSE, "Search"), range(400)))
    assert sorted(receipt.index for receipt in receipts) == list(range(400))
    assert audit.log_of("radiology").verify() == 400
    frames = sum(path.read_bytes().count(b"ULF1") for path in (tmp_path / "data/audit").glob("*/leaves"))
    assert frames < 400, "no two acts ever shared an fsync"


def test_the_same_keys_sign_and_seal_after_a_restart(open_audit: Callable[..., Audit]) -> None:
    audit = open_audit()
    keys, hashed = audit.public_keys, audit.subject_hash("patient 7")
    receipt = audit.record_now(LOCAL, "Search")
    again = open_audit()
    assert (again.public_keys, again.subject_hash("patient 7")) == (keys, hashed)
    assert next(iter(again.log_of("").leaves())) == receipt.leaf


def test_nothing_that_names_tenant_or_caller_is_readable_on_disk(
    open_audit: Callable[..., Audit], tmp_path: Path
) -> None:
    open_audit().record_now(Caller("canary-tenant", "canary-name", frozenset()), "Search")
    open_audit()
    found = list((tmp_path / "data").rglob("*"))
    assert not any("canary" in str(path) for path in found)
    assert not any(b"canary" in path.read_bytes() for path in found if path.is_file())


def test_without_room_acts_are_refused_until_there_is_some(
    open_audit: Callable[..., Audit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen_server.audit.TRY_AGAIN_S", 0.05)
    said: list[bool] = []
    audit = open_audit(on_room=said.append)
    audit.record_now(LOCAL, "Search")
    with monkeypatch.context() as patch:
        patch.setattr("unseen.audit.frames._write_all", no_room)
        with pytest.raises(AuditUnavailable):
            audit.record_now(LOCAL, "Search")
        assert said == [False]
    while said != [False, True]:
        pass
    assert audit.record_now(LOCAL, "Search").index >= 2
    assert [leaf["act"] for leaf in leaves_of(audit)][:2] == ["Search", "audit-log-has-room-again"]


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_caller_that_leaves_does_not_take_its_leaf_along(open_audit: Callable[..., Audit]) -> None:
    audit = open_audit()
    assert not audit.record(LOCAL, "Search").cancel()
    assert audit.record_now(LOCAL, "Search").index == 1


def test_a_closed_audit_takes_nothing_more(open_audit: Callable[..., Audit]) -> None:
    audit = open_audit()
    audit.close()
    with pytest.raises(StoreFailed):
        audit.record_now(LOCAL, "Search")


def test_a_leaf_that_waits_while_the_log_closes_can_still_be_taken_back(
    open_audit: Callable[..., Audit], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = open_audit()
    log_of = audit.log_of

    def when_closing(tenant: str) -> Log:
        while not audit._closing:
            time.sleep(0.01)
        return log_of(tenant)

    monkeypatch.setattr(audit, "log_of", when_closing)
    early = audit.record(LOCAL, "Search")
    early.add_done_callback(partial(_contradict, audit, LOCAL, "Search", "CANCELLED", Details()))
    audit.close()
    said = [(leaf["outcome"], leaf.get("asked")) for leaf in leaves_of(open_audit())]
    assert said == [("OK", None), ("CANCELLED", 0)]


def test_leaves_are_json_that_other_tools_read(open_audit: Callable[..., Audit]) -> None:
    receipt = open_audit().record_now(Caller("", 'Zoë "x" \\', frozenset()), "Search", "SERVER_BUSY")
    assert json.loads(receipt.leaf)["who"] == 'Zoë "x" \\'
    assert json.loads(receipt.to_bytes())["index"] == 0
