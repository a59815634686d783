"""What the health service says of a server: whether calls can be sent to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

log = logging.getLogger(__name__)

SERVICES = (
    "unseen.v1.InfoService",
    "unseen.v1.AccessService",
    "unseen.v1.CollectionService",
    "unseen.v1.IndexService",
    "unseen.v1.SearchService",
    "unseen.v1.AuditService",
    "unseen.v1.OperatorService",
    "unseen.v1.GovernanceService",
)


def room_teller(health_service: health.HealthServicer) -> Callable[[bool], None]:
    """Tells the world through the health service, from any thread, whether acts can be written down."""
    loop = asyncio.get_running_loop()

    async def tell(has_room: bool) -> None:
        if has_room:
            log.warning("the audit log has room again")
        else:
            log.error("the audit log cannot be written: every call is refused")
        status = health_pb2.HealthCheckResponse.SERVING if has_room else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", *SERVICES):
            await health_service.set(service, status)

    def tell_from_any_thread(has_room: bool) -> None:
        asyncio.run_coroutine_threadsafe(tell(has_room), loop)

    return tell_from_any_thread
