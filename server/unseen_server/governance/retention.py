"""The retention job: what has ended is withheld, what is withheld and not held is erased, the time is written down.

It runs at start and every RETENTION_EVERY_S. That a row is not found any more does not wait for it: scans look at the
clock themselves.
"""

from __future__ import annotations

import asyncio
import logging

from unseen.errors import AuditUnavailable, ClockUncertain, StoreFailed
from unseen_server import limits
from unseen_server.engine import Engine
from unseen_server.governance.assembly import Governance
from unseen_server.governance.terms import Terms
from unseen_server.workers import Workers

log = logging.getLogger(__name__)


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
        """See to every collection; how many rows were erased."""
        try:
            if self._governance.registry:
                await self._workers.change(self._governance.office.clock.write_down)
            return sum([await self._see_to(terms) for terms in self._governance.registry.all()])
        except (ClockUncertain, AuditUnavailable) as error:
            log.warning("retention waits: %s", error.code)
            return 0

    async def _see_to(self, terms: Terms) -> int:
        return await self._workers.change_in_turn((terms.uid,), self._one, terms)

    def _one(self, terms: Terms) -> int:
        live = self._engine.live(terms.uid)
        if live is None:  # deleted meanwhile
            return 0
        self._governance.admission.end_what_is_due(live, terms, self._governance.office.clock.now())
        return self._governance.erasing.withheld(live, terms)
