"""Rows one by one: counted, listed, read, erased."""

from __future__ import annotations

from collections.abc import Iterable

from unseen_client.calls.aio.calls import AsyncCalls
from unseen_client.calls.arguments import AnyPath, Records
from unseen_client.records import Record


class RowAsyncCalls(AsyncCalls):
    """Part of ``AsyncClient``."""

    async def count(self, name: str) -> int:
        """Live rows of a collection; raises CollectionNotFound."""
        return await self._drive(self._protocol.count(name))

    async def list(self, name: str, *, limit: int | None = None, offset: int = 0) -> Records:
        """Records in the order of enrolment, from this device's mirror; raises KeyMissing, CollectionNotFound."""
        return await self._drive(self._protocol.list(name, limit, offset))

    async def get(self, name: str, id: str) -> Record:
        """The record of one row; raises RowNotFound, KeyMissing."""
        return await self._drive(self._protocol.get(name, id))

    async def erase(self, name: str, ids: str | Iterable[str], *, certificate: AnyPath | None = None) -> int:
        """Erase rows from the server's disk and memory and from this device's mirror; gives how many.

        When one is not there nothing is erased and RowNotFound is raised; beyond 65,536 ids that holds for each run of
        65,536, and an error's note says how many were erased before. Other devices drop their copy of the sealed
        records when they next synchronise. The server's signed certificates are verified, kept on this device, and
        written to the new file ``certificate``, one a line. Raises InvalidInput when it is there, OnLegalHold.
        """
        return await self._drive(self._protocol.erase(name, ids, certificate))
