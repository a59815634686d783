"""PostgreSQL as a store uses it: one server at a time, whole transactions, dead when the database does not answer.

The server holds it. Whoever runs the database gets names, counts, sizes, epochs and pseudonymous row ids; vectors,
facts and records are ciphertext there. An advisory lock of the connection lets one server in. Every failure makes the
link dead, as a failed disk does: a commit that got no answer may or may not be there.

What PostgreSQL keeps of what was erased is in docs/operations.md: it writes row versions, not bytes in place.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from unseen.errors import InvalidConfiguration, LimitExceeded, StoreFailed
from unseen.store import copying
from unseen.store.database import Database, Steps, Transaction
from unseen.store.schema import APPLICATION_ID, SCHEMA_VERSION
from unseen.store.sqlite_file import SqliteFile
from unseen_server.postgres import migrations
from unseen_server.postgres.address import PostgresAddress
from unseen_server.postgres.link import LOST, Link
from unseen_server.postgres.schema import SCHEMA, SHARED_TABLES
from unseen_server.postgres.transaction import PostgresTransaction

SETTINGS = {
    "application_name": "unseen",
    "search_path": SCHEMA,
    "client_encoding": "UTF8",
    "bytea_output": "hex",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
}
"""Of our connection: what the database's own settings must not decide."""


class PostgresDatabase(Database):
    """A connection that is the only one of a server."""

    def __init__(self, address: PostgresAddress, alone: bool = True) -> None:
        """Connect; InvalidConfiguration when it is not ours, in use or not durable, StoreFailed when not there.

        Who only reads need not be ``alone``.
        """
        self._address = address
        self._lock = threading.RLock()
        self._failed = False
        self._is_open = True
        self._tell: Callable[[], None] | None = None
        self._link = Link(address, SETTINGS)
        try:
            with self._failures():
                self._require_private()
                self._require_durable()
                if alone:
                    self._require_alone()
                self._version = self._read_version()
        except BaseException:
            self.close()
            raise

    def _value(self, query: str, *values: object) -> object:
        return self._link.call(lambda connection: connection.fetchval(query, *values))

    def _require_private(self) -> None:
        host = self._value("SELECT host(inet_server_addr())")
        is_secured = self._value("SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)")
        if host is not None and not ipaddress.ip_address(str(host)).is_loopback and not is_secured:
            raise InvalidConfiguration(
                f"{self._address} is on another machine and the connection has no TLS; add ?sslmode=verify-full"
            )

    def _require_durable(self) -> None:
        for setting in ("fsync", "full_page_writes"):
            if self._value(f"SHOW {setting}") != "on":
                raise InvalidConfiguration(
                    f"{self._address} runs with {setting} off: what was acknowledged could be lost; turn it on"
                )
        if self._value("SHOW synchronous_commit") == "off":
            self._link.call(lambda connection: connection.execute("SET synchronous_commit = on"))

    def _require_alone(self) -> None:
        if not self._value("SELECT pg_try_advisory_lock($1)", APPLICATION_ID):
            raise InvalidConfiguration(f"{self._address} is in use by another server; stop it or give another database")

    def _read_version(self) -> int | None:
        """None where there is no store yet."""
        tables = self._value("SELECT count(*) FROM pg_tables WHERE schemaname = $1", SCHEMA)
        if not tables:
            return None
        if self._value("SELECT to_regclass('store')") is None:
            raise InvalidConfiguration(
                f"the schema {SCHEMA!r} of {self._address} is not an Unseen store; give another database"
            )
        version = self._value("SELECT schema_version FROM store")
        if not isinstance(version, int) or not migrations.OLDEST_VERSION <= version <= SCHEMA_VERSION:
            raise InvalidConfiguration(
                f"{self._address} has schema version {version}, this release reads {migrations.OLDEST_VERSION} to "
                f"{SCHEMA_VERSION}; run the release that wrote it or a newer one"
            )
        return version

    @property
    def is_blank(self) -> bool:
        return self._version is None

    @property
    def version(self) -> int:
        return self._version or SCHEMA_VERSION

    @property
    def steps(self) -> Steps:
        return migrations.STEPS

    def accept(self) -> None:
        """Nothing: a connection that was let in takes changes."""

    def make(self, store_uid: bytes, ring_state: bytes, fill: Callable[[Transaction], None] = lambda _: None) -> None:
        with self.changing() as tx:
            tx.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            tx.run(SHARED_TABLES)
            tx.run("INSERT INTO store VALUES (1, ?, ?, ?)", (store_uid, ring_state, SCHEMA_VERSION))
            fill(tx)
        self._version = SCHEMA_VERSION

    @contextmanager
    def changing(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN"):
            yield PostgresTransaction(self._link)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            yield PostgresTransaction(self._link)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock, self._failures():
            self._execute(begin)
            try:
                yield
                self._execute("COMMIT")
            except LOST:
                raise  # the connection is given up: what was not committed goes with it
            except BaseException:
                self._execute("ROLLBACK")
                raise

    def _execute(self, statement: str) -> None:
        self._link.call(lambda connection: connection.execute(statement))

    def scrub(self, tables: Sequence[str] = ()) -> None:
        # Dead row versions give their room to later ones. Their bytes may stay until it is used, and in the log.
        with self._lock, self._failures():
            for table in tables:
                self._execute(f"VACUUM {table}")

    @property
    def size_bytes(self) -> int:
        with self._lock, self._failures():
            size = self._value(
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c"
                " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'",
                SCHEMA,
            )
        return int(str(size))

    def snapshot(self, path: Path, go_on: Callable[[], None] = lambda: None) -> None:
        # A connection of its own: changes go on in this one.
        with closing(PostgresDatabase(self._address, alone=False)) as moment:
            try:
                _write_copy(moment, path, go_on)
            except StoreFailed as error:
                if moment.was_lost:
                    raise StoreFailed("PostgreSQL stopped answering while it was copied; look into its log") from error
                raise LimitExceeded(f"the copy of the store cannot be written ({error}); make room") from error

    @property
    def was_lost(self) -> bool:
        """Whether the database did not do something it was asked for."""
        return self._link.has_failed

    def when_failed(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        with self._lock, self._failures():
            self._link.watch(self._lost)

    def _lost(self) -> None:
        if self._is_open:
            self._die()

    def _die(self) -> None:
        self._failed = True
        if self._tell is not None:
            self._tell()

    def close(self) -> None:
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._link.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        if self._failed or not self._is_open:
            raise StoreFailed("the store has stopped after a failed change or was closed; restart the server")
        try:
            yield
        except StoreFailed:  # the key ring's disk refused
            self._die()
            raise
        except (*LOST, MemoryError) as error:
            self._die()
            raise StoreFailed(
                f"PostgreSQL did not take a change ({type(error).__name__}); nothing was acknowledged, "
                "look into its log, then restart the server"
            ) from error


def _write_copy(source: Database, path: Path, go_on: Callable[[], None]) -> None:
    with closing(SqliteFile(path)) as copy, source.reading() as tx:
        uid, state = tx.fetch("SELECT uid, ring_state FROM store")[0]
        copy.make(uid, state, lambda target: copying.copy(tx, target, go_on))
