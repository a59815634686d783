"""OperatorService: how the server is doing, in counts and sizes without names of callers; backups, which are sealed.

An operator of one tenant is told of its own tenant alone: how much others do is not its business. An operator of the
tenant without a name runs the server and is told of all.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from unseen.v1 import operations_pb2, operations_pb2_grpc
from unseen_server import limits
from unseen_server.audit import Audit
from unseen_server.backups import Backup, Backups
from unseen_server.call import Call
from unseen_server.engine import Engine
from unseen_server.governance.assembly import Governance
from unseen_server.governance.standing import count_standing
from unseen_server.operations.metrics import OK, OVER_LIMIT, Metrics, component_versions
from unseen_server.operations.process_memory import resident_bytes
from unseen_server.services.info import release
from unseen_server.workers import Workers


@dataclass(frozen=True)
class Standing:
    """What does not change while the server runs."""

    data: Path
    store_kind: str
    key_provider: str
    certificate_expires_s: Callable[[], int | None]
    """Seconds since 1970; None without TLS."""


class OperatorService(operations_pb2_grpc.OperatorServiceServicer):
    """Looks at every part and adds up."""

    def __init__(
        self,
        engine: Engine,
        governance: Governance,
        workers: Workers,
        audit: Audit,
        metrics: Metrics,
        standing: Standing,
        backups: Backups,
    ) -> None:
        self._engine = engine
        self._governance = governance
        self._backups = backups
        self._workers = workers
        self._audit = audit
        self._metrics = metrics
        self._standing = standing
        self._began_s = time.monotonic()

    async def GetStatus(  # noqa: N802 - the contract's name
        self, request: operations_pb2.GetStatusRequest, call: Call
    ) -> operations_pb2.GetStatusResponse:
        """Tell how the server is doing."""
        return await self._workers.change(self._status, call)

    async def CreateBackup(  # noqa: N802
        self, request: operations_pb2.CreateBackupRequest, call: Call
    ) -> AsyncIterator[operations_pb2.CreateBackupResponse]:
        """Send a backup of everything."""
        digest = hashlib.sha256()
        made = await self._begun()
        try:
            begin = operations_pb2.BackupBegin(size_bytes=made.size_bytes, store_uid=made.store_uid)
            yield operations_pb2.CreateBackupResponse(begin=begin)
            while chunk := await self._workers.change(next, made.chunks, b""):
                digest.update(chunk)
                for start in range(0, len(chunk), limits.BACKUP_CHUNK_BYTES):
                    part = chunk[start : start + limits.BACKUP_CHUNK_BYTES]
                    yield operations_pb2.CreateBackupResponse(chunk=part)
        finally:
            asyncio.get_running_loop().run_in_executor(None, made.close)
        yield operations_pb2.CreateBackupResponse(end=operations_pb2.BackupEnd(sha256=digest.digest()))

    async def _begun(self) -> Backup:
        """A copy; when the caller leaves while it is made, it is removed as soon as it is there."""
        coming = asyncio.ensure_future(self._workers.change(self._backups.begin))
        try:
            return await asyncio.shield(coming)
        except asyncio.CancelledError:
            coming.add_done_callback(_remove)
            raise

    def _status(self, call: Call) -> operations_pb2.GetStatusResponse:
        status = operations_pb2.GetStatusResponse(
            version=release(),
            component_versions=component_versions(),
            uptime_s=int(time.monotonic() - self._began_s),
            serving=self._audit.has_room,
            store=self._store(call),
            audit=self._audit_of(call),
            certificate=self._certificate(),
            governance=self._governance_of(call),
        )
        if call.caller.may_know_all:
            status.memory.CopyFrom(self._memory())
            status.traffic.CopyFrom(self._traffic())
        return status

    def _store(self, call: Call) -> operations_pb2.StoreStatus:
        disk = shutil.disk_usage(self._standing.data)
        own = [] if call.caller.may_know_all else self._engine.collections(call.caller)
        return operations_pb2.StoreStatus(
            kind=self._standing.store_kind,
            key_provider=self._standing.key_provider,
            collections=self._engine.collection_count if call.caller.may_know_all else len(own),
            rows=self._engine.rows if call.caller.may_know_all else sum(info.rows for info in own),
            disk_free_bytes=disk.free,
            disk_bytes=disk.total,
        )

    def _audit_of(self, call: Call) -> operations_pb2.AuditStatus:
        own = self._audit.log_of(call.caller.tenant)
        logs = [log.now for log in self._audit.logs()] if call.caller.may_know_all else [own.now]
        return operations_pb2.AuditStatus(
            leaves=sum(now.size for now in logs), bytes=sum(now.end for now in logs), head=own.head
        )

    def _governance_of(self, call: Call) -> operations_pb2.GovernanceStatus:
        collections = None if call.caller.may_know_all else self._engine.collections(call.caller)
        counts = count_standing(self._governance, None if collections is None else {info.uid for info in collections})
        return operations_pb2.GovernanceStatus(
            agreements=counts.agreements,
            holds=counts.holds,
            emergencies=counts.emergencies,
            clock_certain=counts.clock_certain,
        )

    def _memory(self) -> operations_pb2.MemoryStatus:
        return operations_pb2.MemoryStatus(
            index_bytes=self._engine.memory_bytes,
            resident_bytes=resident_bytes(),
            mask_blocks_ready=self._engine.mask_blocks_ready,
            under_way_bytes=self._workers.bytes_held,
            under_way_limit_bytes=limits.MAX_BYTES_UNDER_WAY,
        )

    def _traffic(self) -> operations_pb2.TrafficStatus:
        answered, all_calls = self._metrics.calls(codes=(OK,)), self._metrics.calls()
        return operations_pb2.TrafficStatus(
            searches=self._metrics.calls("Search", (OK,)),
            calls=answered,
            refused=all_calls - answered,
            over_limit=self._metrics.calls(codes=OVER_LIMIT),
            under_way=self._metrics.under_way,
        )

    def _certificate(self) -> operations_pb2.CertificateStatus | None:
        expires_s = self._standing.certificate_expires_s()
        return None if expires_s is None else operations_pb2.CertificateStatus(expires_s=expires_s)


def _remove(coming: asyncio.Future[Backup]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        coming.result().close()
