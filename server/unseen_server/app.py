"""The server put together: every part is made and handed to the next in one function, ``start``.

config -> port -> master key -> key ring -> store -> tokens -> clock -> audit log -> engine (loaded, warmed) ->
governance -> services behind the boundary -> ready
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from unseen.audit.leaf import Details
from unseen.errors import AuditUnavailable, InvalidConfiguration
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
from unseen_server.audit import AUDIT_FOLDER, SERVER, Audit
from unseen_server.backups import Backups
from unseen_server.boundary import Boundary
from unseen_server.certificates import server_credentials
from unseen_server.config import Config
from unseen_server.engine import Engine, MakeMasks
from unseen_server.governance.assembly import Governance, assemble
from unseen_server.governance.clock import Clock
from unseen_server.governance.retention import Retention
from unseen_server.hosts import is_loopback
from unseen_server.operations.certificate import expires_s
from unseen_server.operations.metrics import Metrics
from unseen_server.operations.page import Page
from unseen_server.operations.watched import watch
from unseen_server.quota import Quotas
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
from unseen_server.storage import open_store as open_store
from unseen_server.warm_up import warm_up
from unseen_server.workers import Workers

log = logging.getLogger(__name__)

SEARCH = "/unseen.v1.SearchService/Search"
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
MakeClock = Callable[[Store, bool], Clock]


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
    page: Page | None = None

    async def stop(self) -> None:
        """Refuse new calls, let those under way end, close everything."""
        await self.health.enter_graceful_shutdown()
        await self.server.stop(limits.STOP_GRACE_S)
        self.retaining.cancel()
        if not self.store_failed.is_set():
            await self.quotas.settle()
        await asyncio.to_thread(self.workers.close)
        self.engine.close()
        self.ending_windows.cancel()
        self.refusals.end_window()
        self.audit.record(SERVER, "server-stopped")
        await asyncio.to_thread(self.audit.close)
        self.store.close()
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
    server = aio.server(
        interceptors=[boundary],
        options=_options(),
        maximum_concurrent_rpcs=limits.MAX_RPCS,
    )
    port = _bind(server, config)  # before anything is written: a start that is refused leaves no trace
    store = await asyncio.to_thread(open_store, config, lambda: _require_callers(config, None))
    store.when_failed(_told_in_loop(store_failed))
    health_service = health.HealthServicer()
    try:
        grants = await asyncio.to_thread(Grants, store)
        _require_callers(config, grants)
        clock = await asyncio.to_thread(make_clock, store, config.accept_clock)
        audit = await asyncio.to_thread(open_audit, config, store, _room_teller(health_service), metrics)
    except BaseException:
        store.close()
        raise
    engine = Engine(store, make_masks, config.threads)
    loading = asyncio.create_task(asyncio.to_thread(_load, engine))
    try:
        await asyncio.shield(loading)
        gate.open(grants)
        quotas.keep_in(store)
        refusals = Refusals(audit)
        boundary.write_down_in(audit, refusals, metrics)
        standing = _standing(config)
        watch(metrics, engine, workers, audit, standing)
        signing_key = await asyncio.to_thread(open_signing_key, store)
        governance = await asyncio.to_thread(assemble, store, engine, clock, signing_key, audit)
        retention = Retention(governance, engine, workers)
        await retention.once()
        info_pb2_grpc.add_InfoServiceServicer_to_server(InfoService(store.uid, audit), server)
        access = AccessService(engine, grants, quotas, workers)
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
        await asyncio.to_thread(audit.close)
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
        grants,
        quotas,
        audit,
        refusals,
        ending_windows,
        governance,
        retention,
        retaining,
        metrics,
    )


def open_audit(
    config: Config,
    store: Store,
    on_room: Callable[[bool], None] = lambda _: None,
    metrics: Metrics | None = None,
) -> Audit:
    """The audit log that belongs to a store; ``metrics`` counts its leaves."""
    if metrics is None:
        return Audit(config.data / AUDIT_FOLDER, store, open_signing_key(store), on_room)
    audit = Audit(config.data / AUDIT_FOLDER, store, open_signing_key(store), on_room, metrics.leaves_written)
    metrics.tenant_hash = audit.tenant_hash if config.metrics_by_tenant else None
    return audit


def _standing(config: Config) -> Standing:
    certificate = None if config.tls is None else config.tls.certificate
    return Standing(config.data, kind(config), config.master_key.kind, lambda: expires_s(certificate))


def _room_teller(health_service: health.HealthServicer) -> Callable[[bool], None]:
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


def _require_callers(config: Config, grants: Grants | None) -> None:
    """Beyond its own machine a server must be able to tell who calls. None for grants that nobody can have made yet."""
    if is_loopback(config.host) or config.names_callers:
        return
    if grants is None or not grants.stand(time.time()):
        raise InvalidConfiguration(
            f"{config.host} can be reached from other machines and there is no way to tell who calls: make a token "
            f"with `unseen tokens create --data {config.data} ...`, or give --tls-client-ca or --jwt-issuer"
        )


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


def _bind(server: aio.Server, config: Config) -> int:
    address = config.address(config.port)
    try:
        if config.tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, server_credentials(config.tls, lambda: dt.datetime.now(dt.UTC)))
    except RuntimeError as error:
        raise InvalidConfiguration(f"{address} cannot be listened on: {_why_not(config.host)}") from error


def _why_not(host: str) -> str:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return "this machine does not know that name; give --listen one of its own addresses"
    return "is another server there? give --listen another port, or stop that one"


def _options() -> list[tuple[str, int]]:
    def milliseconds(seconds: float) -> int:
        return int(seconds * 1000)

    return [
        ("grpc.so_reuseport", 0),  # a second server on the same port fails instead of taking half of the calls
        ("grpc.compression_enabled_algorithms_bitset", 1),  # none: gRPC inflates a message before it looks at its size
        ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", limits.MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", limits.MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * limits.MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", limits.MAX_STREAMS_PER_CONNECTION),
        ("grpc.max_connection_idle_ms", milliseconds(limits.MAX_CONNECTION_IDLE_S)),
        ("grpc.max_connection_age_ms", milliseconds(limits.MAX_CONNECTION_AGE_S)),
        ("grpc.max_connection_age_grace_ms", milliseconds(limits.MAX_CALL_S)),
        ("grpc.server_handshake_timeout_ms", milliseconds(limits.MAX_HANDSHAKE_S)),
    ]
