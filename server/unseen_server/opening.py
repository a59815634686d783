"""What lies on the disk, opened one after the other: the store, its tokens, its clock, its audit log.

Each needs the one before it. What cannot be opened closes what was: a start that is refused leaves no trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unseen.audit.leaf import Details
from unseen.errors import AuditUnavailable, InvalidConfiguration
from unseen.store.durable import DurableStore
from unseen.store.interface import Store
from unseen_server.access.grants import Grants
from unseen_server.audit import AUDIT_FOLDER, SERVER, Audit
from unseen_server.config import Config
from unseen_server.governance.clock import Clock
from unseen_server.hosts import is_loopback
from unseen_server.missing_changes import count_missing_changes
from unseen_server.operations.metrics import Metrics
from unseen_server.signing import open_signing_key
from unseen_server.storage import open_store

log = logging.getLogger(__name__)

MakeClock = Callable[[Store, bool], Clock]


@dataclass(frozen=True)
class Opened:
    """All of it. Whoever has it closes the store, then the log."""

    store: DurableStore
    grants: Grants
    clock: Clock
    audit: Audit


async def open_all(
    config: Config,
    make_clock: MakeClock,
    on_store_failure: Callable[[], None],
    on_room: Callable[[bool], None],
    metrics: Metrics,
) -> Opened:
    """Open what a configuration names; InvalidConfiguration, WrongKey, IntegrityError or StoreFailed.

    From any thread, later: ``on_store_failure`` when the disk refused, ``on_room`` when acts cannot be written down,
    and when they can again.
    """
    store = await asyncio.to_thread(open_store, config, lambda: require_callers(config, None))
    store.when_failed(on_store_failure)
    try:
        grants = await asyncio.to_thread(Grants, store)
        require_callers(config, grants)
        clock = await asyncio.to_thread(make_clock, store, config.accept_clock)
        audit = await asyncio.to_thread(open_audit, config, store, on_room, metrics)
    except BaseException:
        store.close()
        raise
    return Opened(store, grants, clock, audit)


def open_audit(
    config: Config,
    store: Store,
    on_room: Callable[[bool], None] = lambda _: None,
    metrics: Metrics | None = None,
) -> Audit:
    """The audit log that belongs to a store; says when the store lacks what it tells. ``metrics`` counts its leaves."""
    on_written = metrics.leaves_written if metrics else lambda *_: None
    audit = Audit(config.data / AUDIT_FOLDER, store, open_signing_key(store), on_room, on_written)
    if metrics is not None:
        metrics.tenant_hash = audit.tenant_hash if config.metrics_by_tenant else None
    try:
        _tell_of_missing_changes(store, audit)
    except BaseException:
        audit.close(checkpoints=False)
        raise
    return audit


@contextlib.contextmanager
def opened_alone(
    config: Config, before_making: Callable[[], None] = lambda: None
) -> Iterator[tuple[DurableStore, Audit]]:
    """Store and audit log of a stopped server, for this process alone: what a command works on."""
    store = open_store(config, before_making)
    failed = threading.Event()
    store.when_failed(failed.set)
    try:
        audit = open_audit(config, store)
    except BaseException:
        store.close()
        raise
    try:
        yield store, audit
    finally:
        try:
            store.close()
        except BaseException:
            failed.set()
            raise
        finally:
            audit.close(checkpoints=not failed.is_set())


def require_callers(config: Config, grants: Grants | None) -> None:
    """Beyond its own machine a server must be able to tell who calls. None for grants that nobody can have made yet."""
    if is_loopback(config.host) or config.names_callers:
        return
    if grants is None or not grants.stand(time.time()):
        raise InvalidConfiguration(
            f"{config.host} can be reached from other machines and there is no way to tell who calls: make a token "
            f"with `unseen tokens create --data {config.data} ...`, or give --tls-client-ca or --jwt-issuer"
        )


def _tell_of_missing_changes(store: Store, audit: Audit) -> None:
    """Say, in log and audit log, when the store lacks what the audit log has as acknowledged: once, to whoever opens.

    Without room for the leaf nothing is forgotten, and the next one is told as well.
    """
    if count := count_missing_changes(store, audit):
        log.error(
            "the audit log tells of acknowledged changes that the store does not hold: it was restored from a backup, "
            "or the disk lost them",
            extra={"count": count},
        )
        try:
            audit.record_now(SERVER, "changes-missing", details=Details(count=count))
        except AuditUnavailable:
            return
    for opened in audit.logs():
        opened.forget_tail()
