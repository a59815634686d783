"""The server put together: every part is made and handed to the next in one function, ``start``.

config -> port -> master key -> key ring -> store -> tokens -> clock -> audit log -> engine (loaded, warmed) ->
governance -> services behind the boundary -> ready
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from unseen.audit.leaf import Details
from unseen.errors import AuditUnavailable
from unseen.he.mask import MaskSource
from unseen.store.interface import Store
from unseen.v1 import (
    access_pb2_grpc,
    audit_pb2_grpc,
    collections_pb2_grpc,
    governance_pb2_grpc,
    index_pb2_grpc,
    info_pb2_grpc,
    operations_pb2_grpc,
    search_pb2_grpc,
)
from unseen_server import limits
from unseen_server.access.gate import Gate
from unseen_server.access.grants import Grants
from unseen_server.access.signed_tokens import SignedTokens
from unseen_server.audit import SERVER, Audit
from unseen_server.backups import Backups
from unseen_server.boundary import Boundary
from unseen_server.config import Config
from unseen_server.engine import Engine, MakeMasks
from unseen_server.governance.assembly import Governance, assemble
from unseen_server.governance.clock import Clock
from unseen_server.governance.retention import Retention
from unseen_server.hosts import is_loopback
from unseen_server.listening import bind, make_server
from unseen_server.opening import MakeClock, open_all
from unseen_server.operations.certificate import expires_s
from unseen_server.operations.metrics import Metrics
from unseen_server.operations.page import Page
from unseen_server.operations.watched import watch
from unseen_server.quota import Quotas
from unseen_server.readiness import SERVICES, room_teller
from unseen_server.refusals import Refusals
from unseen_server.services.access import AccessService
from unseen_server.services.audit import AuditService
from unseen_server.services.collections import CollectionService
from unseen_server.services.governance import GovernanceService
from unseen_server.services.index import IndexService
from unseen_server.services.info import InfoService, release
from unseen_server.services.operations import OperatorService, Standing
from unseen_server.services.search import SearchService
from unseen_server.signing import open_signing_key
from unseen_server.storage import kind
from unseen_server.warm_up import warm_up
from unseen_server.workers import Workers

log = logging.getLogger(__name__)

SEARCH = "/unseen.v1.SearchService/Search"


@dataclass
class RunningServer:
    """A server that answers. Belongs to one event loop."""

    port: int
    store_failed: asyncio.Event
    """Set when the disk refused: nothing is acknowledged any more, stop."""
    server: aio.Server
    health: health.HealthServicer
    workers: Workers
    engine: Engine
    store: Store
    grants: Grants
    quotas: Quotas
    audit: Audit
    refusals: Refusals
    ending_windows: asyncio.Task[None]
    governance: Governance
    retention: Retention
    retaining: asyncio.Task[None]
    metrics: Metrics
    backups: Backups
    page: Page | None = None

    async def stop(self) -> None:
        """Refuse new calls, let those under way end, close everything."""
        await self.health.enter_graceful_shutdown()
        await self.server.stop(limits.STOP_GRACE_S)
        self.retaining.cancel()
        if not self.store_failed.is_set():
            await self.quotas.settle()
        self.backups.close()
        await asyncio.to_thread(self.workers.close)
        self.engine.close()
        self.ending_windows.cancel()
        self.refusals.end_window()
        self.audit.record(SERVER, "server-stopped")
        try:
            self.store.close()
        except BaseException:
            self.store_failed.set()
            raise
        finally:
            # After the store: the log's checkpoint says that everything before it need not be looked for at a start.
            await asyncio.to_thread(self.audit.close, not self.store_failed.is_set())
            if self.page is not None:
                await asyncio.to_thread(self.page.close)


def system_clock(store: Store, accept: bool) -> Clock:
    """The time as the system has it."""
    return Clock(store, accept=accept)


async def start(
    config: Config, make_masks: MakeMasks = MaskSource, make_clock: MakeClock = system_clock
) -> RunningServer:
    """Start a server; InvalidConfiguration, WrongKey or StoreFailed when it must not run.

    ``make_masks`` is for tests that show what an attacker reads where nothing is masked, ``make_clock`` for tests in
    which time passes faster.
    """
    metrics = Metrics(release())
    page = Page(*config.metrics, config.tls, metrics.registry) if config.metrics else None
    try:
        running = await _start(config, make_masks, make_clock, metrics)
    except BaseException:
        if page is not None:
            await asyncio.to_thread(page.close)
        raise
    running.page = page
    return running


async def _start(config: Config, make_masks: MakeMasks, make_clock: MakeClock, metrics: Metrics) -> RunningServer:
    store_failed = asyncio.Event()
    signed = SignedTokens(config.signed_tokens) if config.signed_tokens else None
    gate = Gate(config.entry, is_loopback(config.host), signed)
    workers = Workers(store_failed.set)
    quotas = Quotas(workers, config.everybody)
    boundary = Boundary(store_failed.set, gate, quotas, {SEARCH: workers.require_scan_room})
    server = make_server(boundary)
    port = bind(server, config)  # before anything is written: a start that is refused leaves no trace
    health_service = health.HealthServicer()
    opened = await open_all(config, make_clock, _told_in_loop(store_failed), room_teller(health_service), metrics)
    store, audit = opened.store, opened.audit
    engine = Engine(store, make_masks, config.threads)
    loading = asyncio.create_task(asyncio.to_thread(_load, engine))
    try:
        await asyncio.shield(loading)
        gate.open(opened.grants)
        quotas.keep_in(store)
        refusals = Refusals(audit)
        boundary.write_down_in(audit, refusals, metrics)
        standing = _standing(config)
        watch(metrics, engine, workers, audit, standing)
        signing_key = await asyncio.to_thread(open_signing_key, store)
        governance = await asyncio.to_thread(assemble, store, engine, opened.clock, signing_key, audit)
        retention = Retention(governance, engine, workers)
        await retention.once()
        info_pb2_grpc.add_InfoServiceServicer_to_server(InfoService(store.uid, audit), server)
        access = AccessService(engine, opened.grants, quotas, workers)
        access_pb2_grpc.add_AccessServiceServicer_to_server(access, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(audit, workers), server)
        backups = Backups(config.data, store, audit)
        operator = OperatorService(engine, governance, workers, audit, metrics, standing, backups)
        operations_pb2_grpc.add_OperatorServiceServicer_to_server(operator, server)
        collections_pb2_grpc.add_CollectionServiceServicer_to_server(
            CollectionService(engine, governance, workers), server
        )
        index_pb2_grpc.add_IndexServiceServicer_to_server(IndexService(engine, store, governance, workers), server)
        search_pb2_grpc.add_SearchServiceServicer_to_server(SearchService(engine, governance, quotas, workers), server)
        governance_pb2_grpc.add_GovernanceServiceServicer_to_server(
            GovernanceService(engine, governance, workers), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
        for service in SERVICES:
            await health_service.set(service, health_pb2.HealthCheckResponse.SERVING)
        with contextlib.suppress(AuditUnavailable):  # it starts all the same, and says that it cannot serve
            await asyncio.wrap_future(audit.record(SERVER, "server-started", details=Details(note=release())))
        await server.start()
    except BaseException:
        store.close()  # a thread that still loads ends at its next page
        await asyncio.wait([loading])
        engine.close()
        await asyncio.to_thread(audit.close, not store_failed.is_set())
        raise
    ending_windows = asyncio.create_task(refusals.run())
    retaining = asyncio.create_task(retention.run())
    return RunningServer(
        port,
        store_failed,
        server,
        health_service,
        workers,
        engine,
        store,
        opened.grants,
        quotas,
        audit,
        refusals,
        ending_windows,
        governance,
        retention,
        retaining,
        metrics,
        backups,
    )


def _standing(config: Config) -> Standing:
    certificate = None if config.tls is None else config.tls.certificate
    return Standing(config.data, kind(config), config.master_key.kind, lambda: expires_s(certificate))


def _told_in_loop(failed: asyncio.Event) -> Callable[[], None]:
    """What any thread may call to set an event of this loop."""
    loop = asyncio.get_running_loop()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the server with it
            loop.call_soon_threadsafe(failed.set)

    return tell


def _load(engine: Engine) -> None:
    engine.load()
    warm_up()
    log.info("rows in memory", extra={"rows": engine.rows})
