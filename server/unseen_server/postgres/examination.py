"""A store in PostgreSQL, examined: its settings, then everything that any store holds. Reads one moment, never writes.

It may run beside the server: it takes no lock and sees the store as it was when it began.
"""

from __future__ import annotations

from unseen.errors import InvalidConfiguration
from unseen.keys.ring import KeyRings
from unseen.store.examination import Report, examine
from unseen.store.schema import SCHEMA_VERSION
from unseen_server.postgres.address import PostgresAddress
from unseen_server.postgres.database import PostgresDatabase


def examine_database(address: PostgresAddress, rings: KeyRings) -> Report:
    """Examine the store at an address; InvalidConfiguration when there is none, WrongKey for another key."""
    report = Report()
    database = PostgresDatabase(address, alone=False)
    try:
        if database.is_blank:
            raise InvalidConfiguration(f"there is no store at {address}")
        if database.version != SCHEMA_VERSION:
            report.notes.append(
                f"schema version {database.version}: the next start of a server brings it to {SCHEMA_VERSION}"
            )
            return report
        with database.reading() as tx:
            if tx.fetch("SHOW data_checksums")[0][0] != "on":
                report.notes.append("the database keeps no checksums of its pages (initdb --data-checksums)")
            examine(tx, rings, report)
    finally:
        database.close()
    return report
