"""One connection to PostgreSQL for callers that are not asynchronous: the driver lives in a thread of its own.

The server holds it. The store is called from several threads and waits for each answer; asyncpg knows event loops only.
So a loop runs here, and a call hands it one operation and waits. Between operations the loop asks the database every
few seconds whether it is still there: the database gives the store's lock to another server when it thinks that this
one is gone, and this one must not go on answering from memory then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from unseen.errors import InvalidConfiguration, StoreFailed
from unseen_server.postgres.address import PostgresAddress

Answer = TypeVar("Answer")

CONNECT_S = 15.0
OPERATION_S = 600.0
"""Longer than any statement of ours takes; a connection that is dead without a word ends then."""
HEARTBEAT_S = 5.0
HEARTBEAT_ANSWER_S = 10.0
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
"""What an operation raises when the database did not do it."""
NOT_LET_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)


class Link:
    """A connection and the thread that it lives in. Safe to call from several threads."""

    def __init__(self, address: PostgresAddress, settings: dict[str, str]) -> None:
        """Connect; InvalidConfiguration when the database does not let us in, StoreFailed when it is not there."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="unseen-postgres", daemon=True)
        self._thread.start()
        self._turn = asyncio.Lock()
        self._heartbeat: asyncio.Task[None] | None = None
        self.has_failed = False
        """Whether an operation was not carried out."""
        try:
            self.connection: asyncpg.Connection = self._wait(self._connect(address, settings))
        except NOT_LET_IN as error:
            self._end()
            raise InvalidConfiguration(f"{address} does not let us in ({type(error).__name__}): {error}") from error
        except LOST as error:
            self._end()
            raise StoreFailed(
                f"{address} cannot be reached ({type(error).__name__}); is PostgreSQL running?"
            ) from error

    async def _connect(self, address: PostgresAddress, settings: dict[str, str]) -> asyncpg.Connection:
        return await asyncpg.connect(
            address.url, timeout=CONNECT_S, command_timeout=OPERATION_S, server_settings=settings
        )

    def call(self, operation: Callable[[asyncpg.Connection], Awaitable[Answer]]) -> Answer:
        """Carry one operation out in the connection's thread and wait for its answer."""
        try:
            return self._wait(self._in_turn(operation))
        except LOST:
            self.has_failed = True
            raise

    async def _in_turn(self, operation: Callable[[asyncpg.Connection], Awaitable[Answer]]) -> Answer:
        async with self._turn:
            return await operation(self.connection)

    def watch(self, tell: Callable[[], None]) -> None:
        """Call ``tell``, once, from the connection's thread, when the connection is found to be lost."""
        self.call(lambda connection: self._start_watching(connection, tell))

    async def _start_watching(self, connection: asyncpg.Connection, tell: Callable[[], None]) -> None:
        connection.add_termination_listener(lambda _: tell())
        self._heartbeat = asyncio.get_running_loop().create_task(self._beat(connection))

    async def _beat(self, connection: asyncpg.Connection) -> None:
        while not connection.is_closed():
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._in_turn(lambda connection: connection.fetchval("SELECT 1", timeout=HEARTBEAT_ANSWER_S))
            except LOST:
                connection.terminate()

    def close(self) -> None:
        """Let go of the connection and end its thread."""
        try:
            self._wait(self._close())
        finally:
            self._end()

    async def _close(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        try:
            await self.connection.close(timeout=HEARTBEAT_ANSWER_S)
        except LOST:
            self.connection.terminate()

    def _wait(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        if not self._thread.is_alive():
            work.close()
            raise StoreFailed("the connection to PostgreSQL was closed; restart the server")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
