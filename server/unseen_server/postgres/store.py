"""The production store: PostgreSQL, in the schema ``unseen`` of a database of yours. The server holds it."""

from __future__ import annotations

from unseen.keys.ring import KeyRings
from unseen.store.durable import DurableStore
from unseen_server.postgres.address import PostgresAddress
from unseen_server.postgres.database import PostgresDatabase


class PostgresStore(DurableStore):
    """A ``Store`` at a PostgreSQL address, whose keys are in a ring of ``rings``, which lies elsewhere."""

    def __init__(self, address: str, rings: KeyRings) -> None:
        """Open or make the store; InvalidConfiguration, WrongKey, KeyServiceFailed before any write."""
        super().__init__(PostgresDatabase(PostgresAddress(address)), rings)
