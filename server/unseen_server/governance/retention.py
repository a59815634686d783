"""The retention job: what has ended is withheld, what is withheld and not held is erased, the time is written down.

It runs at start and every RETENTION_EVERY_S. That a row is not found any more does not wait for it: scans look at the
clock themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from unseen.errors import StoreFailed, UnseenError
from unseen_server import limits
from unseen_server.engine import Engine
from unseen_server.governance.assembly import Governance
from unseen_server.governance.terms import Terms
from unseen_server.workers import Workers

log = logging.getLogger(__name__)

Done = TypeVar("Done")


class Retention:
    """Used by one event loop."""

    def __init__(self, governance: Governance, engine: Engine, workers: Workers) -> None:
        self._governance = governance
        self._engine = engine
        self._workers = workers

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.once()
            except StoreFailed:
                return  # whoever watches the workers stops the server
            await asyncio.sleep(limits.RETENTION_EVERY_S)

    async def once(self) -> int:
        """See to every collection; how many rows were erased. What cannot be done now is tried again the next time."""
        every = list(self._governance.registry.all())
        if every:
            await self._try(self._workers.change(self._governance.office.clock.write_down))
        return sum([await self._try(self._see_to(terms)) or 0 for terms in every])

    async def _try(self, work: Awaitable[Done]) -> Done | None:
        """Its result, None when it cannot be done now: one collection does not keep the job from the others."""
        try:
            return await work
        except StoreFailed:
            raise
        except UnseenError as error:
            log.warning("retention waits: %s", error.code)
            return None

    async def _see_to(self, terms: Terms) -> int:
        return await self._workers.change_in_turn((terms.uid,), self._one, terms)

    def _one(self, terms: Terms) -> int:
        live = self._engine.live(terms.uid)
        if live is None:  # deleted meanwhile
            return 0
        self._governance.admission.end_what_is_due(live, terms, self._governance.office.clock.now())
        return self._governance.erasing.withheld(live, terms)
