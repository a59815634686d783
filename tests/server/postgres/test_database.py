"""What the store in PostgreSQL promises beyond the suite: whom it opens for, and what the database sees."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.key_rings import MASTER_KEY, rings_beside
from tests.postgres import Cluster
from tests.waiting import until
from unseen.entropy import random_uid
from unseen.errors import InvalidConfiguration, SealBroken, StoreFailed, WrongKey
from unseen.keys.ring import KeyRings
from unseen.store import copying
from unseen.store.interface import NewCollection
from unseen.store.schema import SCHEMA_VERSION
from unseen.types import RowBatch
from unseen_server.postgres import migrations
from unseen_server.postgres.address import PostgresAddress
from unseen_server.postgres.store import PostgresStore
from unseen_server.postgres.transaction import numbered

Make = Callable[..., Any]
OpenStore = Callable[[], PostgresStore]


@pytest.fixture
def cluster(postgres_cluster: Cluster) -> Cluster:
    """The tests' PostgreSQL, without a store."""
    postgres_cluster.empty()
    return postgres_cluster


@pytest.fixture
def rings(tmp_path: Path) -> KeyRings:
    return rings_beside(tmp_path)


@pytest.fixture
def open_store(cluster: Cluster, rings: KeyRings) -> Iterator[OpenStore]:
    opened: list[PostgresStore] = []

    def open_it() -> PostgresStore:
        opened.append(PostgresStore(cluster.address, rings))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


def filled(store: PostgresStore, make_rows: Make, count: int = 20) -> tuple[bytes, RowBatch]:
    uid = store.create(random_uid(), NewCollection("photos", 16, "0" * 16, "none", 8)).info.uid
    batch: RowBatch = make_rows(count, 16)[1]
    store.enrol(random_uid(), uid, batch)
    return uid, batch


def everything(cluster: Cluster) -> list[list[Any]]:
    tables = [row["tablename"] for row in cluster.execute("SELECT tablename FROM pg_tables WHERE schemaname='unseen'")]
    return [cluster.execute(f"SELECT * FROM unseen.{table}") for table in sorted(tables)]


def test_wrong_key_is_refused_and_nothing_is_written(
    open_store: OpenStore, cluster: Cluster, make_rows: Make, tmp_path: Path
) -> None:
    store = open_store()
    filled(store, make_rows)
    store.close()
    before = everything(cluster)
    with pytest.raises(WrongKey):
        PostgresStore(cluster.address, rings_beside(tmp_path, bytes(32)))
    assert everything(cluster) == before
    open_store()


def test_second_server_is_refused_while_the_first_lasts(
    open_store: OpenStore, cluster: Cluster, rings: KeyRings
) -> None:
    first = open_store()
    with pytest.raises(InvalidConfiguration, match="in use by another server"):
        PostgresStore(cluster.address, rings)
    first.close()
    open_store()


def test_newer_schema_is_refused_and_kept(open_store: OpenStore, cluster: Cluster, rings: KeyRings) -> None:
    open_store().close()
    cluster.execute(f"UPDATE unseen.store SET schema_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(InvalidConfiguration, match=f"schema version {SCHEMA_VERSION + 1}"):
        PostgresStore(cluster.address, rings)


def test_there_is_a_step_from_every_older_version() -> None:
    assert sorted(migrations.STEPS) == list(range(migrations.OLDEST_VERSION, SCHEMA_VERSION))


def test_steps_run_in_order_in_one_transaction_or_not_at_all(
    open_store: OpenStore, cluster: Cluster, rings: KeyRings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store().close()

    def add(tx: Any, *_: object) -> None:
        tx.run("ALTER TABLE store ADD COLUMN added BIGINT NOT NULL DEFAULT 7")

    def fail(tx: Any, *_: object) -> None:
        tx.run("ALTER TABLE store ADD COLUMN added BIGINT")

    newer = SCHEMA_VERSION + 2
    for module in ("unseen_server.postgres.database", "unseen.store.schema", "unseen.store.durable"):
        monkeypatch.setattr(f"{module}.SCHEMA_VERSION", newer)
    monkeypatch.setattr(migrations, "STEPS", {SCHEMA_VERSION: add, SCHEMA_VERSION + 1: fail})
    with pytest.raises(StoreFailed):
        PostgresStore(cluster.address, rings)
    assert [dict(row) for row in cluster.execute("SELECT schema_version FROM unseen.store")] == [
        {"schema_version": SCHEMA_VERSION}
    ]
    monkeypatch.setattr(migrations, "STEPS", {SCHEMA_VERSION: add, SCHEMA_VERSION + 1: lambda *_: None})
    open_store().close()
    assert [dict(row) for row in cluster.execute("SELECT schema_version, added FROM unseen.store")] == [
        {"schema_version": newer, "added": 7}
    ]


def test_schema_of_another_program_is_refused_and_kept(cluster: Cluster, rings: KeyRings) -> None:
    cluster.execute("CREATE SCHEMA unseen CREATE TABLE notes (text TEXT)")
    with pytest.raises(InvalidConfiguration, match="not an Unseen store"):
        PostgresStore(cluster.address, rings)
    assert len(cluster.execute("SELECT * FROM pg_tables WHERE schemaname = 'unseen'")) == 1


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_database_that_would_lose_what_was_acknowledged_is_refused(
    cluster: Cluster, rings: KeyRings, setting: str
) -> None:
    cluster.execute(f"ALTER SYSTEM SET {setting} = off")
    cluster.execute("SELECT pg_reload_conf()")
    try:
        while cluster.execute(f"SHOW {setting}")[0][0] != "off":
            pass
        with pytest.raises(InvalidConfiguration, match=f"{setting} off"):
            PostgresStore(cluster.address, rings)
    finally:
        cluster.execute(f"ALTER SYSTEM RESET {setting}")
        cluster.execute("SELECT pg_reload_conf()")
        while cluster.execute(f"SHOW {setting}")[0][0] != "on":
            pass


def test_commits_wait_for_the_disk_whatever_the_database_says(open_store: OpenStore, cluster: Cluster) -> None:
    cluster.execute("ALTER DATABASE unseen SET synchronous_commit = off")
    try:
        store = open_store()
        with store._database.reading() as tx:
            assert tx.fetch("SHOW synchronous_commit")[0][0] == "on"
    finally:
        cluster.execute("ALTER DATABASE unseen RESET synchronous_commit")


def test_unreachable_database_and_unknown_one_are_told_apart(cluster: Cluster, rings: KeyRings, tmp_path: Any) -> None:
    with pytest.raises(StoreFailed, match="is PostgreSQL running"):
        PostgresStore(f"postgresql://unseen@/unseen?host={tmp_path}", rings)
    with pytest.raises(InvalidConfiguration, match="does not let us in"):
        PostgresStore(cluster.address.replace("/unseen?", "/other?"), rings)


def test_lost_connection_is_told_although_nobody_asks_and_stops_the_store(
    open_store: OpenStore, cluster: Cluster, make_rows: Make
) -> None:
    store = open_store()
    uid, _ = filled(store, make_rows)
    told = threading.Event()
    store.when_failed(told.set)
    cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'unseen'")
    assert told.wait(60)
    for refused in (store.collections, lambda: store.enrol(random_uid(), uid, make_rows(1, 16)[1])):
        with pytest.raises(StoreFailed):
            refused()
    store.close()
    assert open_store().collections()[0].info.rows == 20


def test_database_that_falls_silent_is_noticed_by_the_heartbeat(
    open_store: OpenStore, cluster: Cluster, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's process is stopped, not ended: nothing comes back and nothing is closed."""
    monkeypatch.setattr("unseen_server.postgres.link.HEARTBEAT_S", 0.1)
    monkeypatch.setattr("unseen_server.postgres.link.HEARTBEAT_ANSWER_S", 5.0)
    store = open_store()
    filled(store, make_rows)
    told = threading.Event()
    store.when_failed(told.set)
    with store._database.reading() as tx:
        process_id = tx.fetch("SELECT pg_backend_pid()")[0][0]
    os.kill(process_id, signal.SIGSTOP)
    try:
        assert told.wait(60)
        with pytest.raises(StoreFailed):
            store.collections()
    finally:
        os.kill(process_id, signal.SIGCONT)


def test_database_that_is_lost_while_it_is_copied_is_not_told_as_a_full_disk(
    open_store: OpenStore, cluster: Cluster, make_rows: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    filled(store, make_rows)
    as_ever = copying._copy_table

    def lose_it(source: Any, target: Any, table: str, *rest: Any) -> None:
        if table == "live_rows":
            cluster.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'unseen'"
                " AND state = 'idle in transaction'"
            )
        as_ever(source, target, table, *rest)

    monkeypatch.setattr(copying, "_copy_table", lose_it)
    with pytest.raises(StoreFailed, match="while it was copied"):
        store.snapshot(tmp_path / "copy")
    assert store.collections()[0].info.rows == 20


def test_copy_that_cannot_begin_leaves_no_connection(open_store: OpenStore, cluster: Cluster, tmp_path: Path) -> None:
    store = open_store()
    (tmp_path / "copy").write_text("not a store")
    with pytest.raises(InvalidConfiguration):
        store.snapshot(tmp_path / "copy")
    connections = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'unseen'"
    until("one connection is left", lambda: len(cluster.execute(connections)) <= 1, pause_s=0.05)


def test_crash_of_the_database_loses_nothing_acknowledged(
    open_store: OpenStore, cluster: Cluster, make_rows: Make
) -> None:
    store = open_store()
    uid, batch = filled(store, make_rows)
    cluster.stop("immediate")
    with pytest.raises(StoreFailed):
        store.collections()
    store.close()
    cluster.start()
    again = open_store()
    rows = {slot: vector for page in again.vectors(uid) for slot, vector in zip(page.slots, page.vectors, strict=True)}
    np.testing.assert_array_equal(np.stack([rows[slot] for slot in range(20)]), batch.vectors)


def test_database_holds_no_vector_and_no_key_in_the_clear(
    open_store: OpenStore, cluster: Cluster, make_rows: Make
) -> None:
    store = open_store()
    _, batch = filled(store, make_rows, 50)
    store.append_fact("consent", b"key", b"a body that nobody else may read")
    store.close()
    cluster.stop("fast")
    disk = cluster.bytes_on_disk()
    cluster.start()
    assert MASTER_KEY not in disk
    assert b"a body that nobody" not in disk
    for vector in batch.vectors[:3]:
        assert vector.tobytes()[:16] not in disk
        assert vector.astype(np.float32).tobytes()[:16] not in disk
    assert batch.row_ids[0] in disk, "the search would find what is there"


def test_sealed_vector_that_the_database_moved_or_altered_does_not_open(
    open_store: OpenStore, cluster: Cluster, make_rows: Make
) -> None:
    store = open_store()
    uid, _ = filled(store, make_rows)
    for statement in (
        "UPDATE unseen.vectors_1 SET sealed = (SELECT sealed FROM unseen.vectors_1 WHERE slot = 1) WHERE slot = 2",
        "UPDATE unseen.vectors_1 SET sealed = set_byte(sealed, 40, (get_byte(sealed, 40) + 1) % 256) WHERE slot = 2",
    ):
        cluster.execute(statement)
        with pytest.raises(SealBroken):
            list(store.vectors(uid))


def test_erased_rows_are_in_no_version_of_any_table_row(
    open_store: OpenStore, cluster: Cluster, make_rows: Make
) -> None:
    """What PostgreSQL can be asked for. Its files and its log keep bytes for a while: docs/operations.md."""
    store = open_store()
    uid, batch = filled(store, make_rows, 40)
    store.erase(random_uid(), uid, batch.row_ids[:10])
    cells = cluster.execute("SELECT sealed FROM unseen.records_1 ORDER BY record")
    assert [any(row["sealed"]) for row in cells] == [False] * 10 + [True] * 30
    cells = cluster.execute("SELECT sealed FROM unseen.vectors_1 ORDER BY slot")
    assert [any(row["sealed"]) for row in cells] == [False] * 10 + [True] * 30
    cluster.execute("CREATE EXTENSION IF NOT EXISTS pageinspect")
    for table in ("vectors_1", "records_1"):
        versions = cluster.execute(
            f"SELECT t_data FROM heap_page_items(get_raw_page('unseen.{table}', 0)) WHERE t_data IS NOT NULL"
        )
        assert len(versions) == 40, "a dead version was left"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret-word@host/db",
        "postgresql://me@host/db?password=secret-word",
        "postgresql://me:@host/db",
    ],
)
def test_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="PGPASSFILE") as refusal:
        PostgresAddress(url)
    assert "secret-word" not in str(refusal.value)


@pytest.mark.parametrize("url", ["", "mysql://host/db", "/var/lib/data", "postgresql://[::1/db"])
def test_what_is_no_address_of_postgresql_is_refused(url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="--store"):
        PostgresAddress(url)


def test_question_marks_become_numbers() -> None:
    assert numbered("SELECT 1") == "SELECT 1"
    assert numbered("VALUES (?, ?) LIMIT ?") == "VALUES ($1, $2) LIMIT $3"
