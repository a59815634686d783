"""How a server is doing: what `unseen status` shows. Counts and sizes, no data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from unseen.v1 import operations_pb2


@dataclass(frozen=True)
class MemoryStatus:
    """What a server holds in memory."""

    index_bytes: int
    resident_bytes: int
    mask_blocks_ready: int
    """Blocks whose masks are made ahead."""
    under_way_bytes: int
    """Queries, replies and enrolments now."""
    under_way_limit_bytes: int


@dataclass(frozen=True)
class TrafficStatus:
    """What a server answered since it began to serve."""

    searches: int
    calls: int
    """Answered, searches included."""
    refused: int
    over_limit: int
    """Refused because a limit or a quota was reached."""
    under_way: int


@dataclass(frozen=True)
class GovernanceStatus:
    """Agreements, and what is out of the ordinary under them."""

    agreements: int
    holds: int
    emergencies: int
    """Open ones: somebody searches without a purpose."""
    clock_certain: bool
    """False when the server's clock leapt ahead: it cannot tell what has ended, and scores nothing governed."""


@dataclass(frozen=True)
class ServerStatus:
    """Counts are of the whole server; for an operator of one tenant of that tenant, without memory and traffic."""

    version: str
    component_versions: dict[str, str]
    uptime_s: int
    serving: bool
    """False when acts cannot be written down, so that every call is refused."""
    store_kind: str
    key_provider: str
    collections: int
    rows: int
    disk_free_bytes: int
    disk_bytes: int
    audit_leaves: int
    audit_bytes: int
    audit_head: str
    """The newest signed head of the caller's own log."""
    certificate_expires: datetime | None
    """None without TLS."""
    governance: GovernanceStatus | None = None
    """None from a server that says nothing of agreements: it is of another release."""
    memory: MemoryStatus | None = None
    traffic: TrafficStatus | None = None

    @staticmethod
    def from_message(message: operations_pb2.GetStatusResponse) -> ServerStatus:
        """As it arrived."""
        expires = message.certificate.expires_s if message.HasField("certificate") else None
        return ServerStatus(
            version=message.version,
            component_versions=dict(message.component_versions),
            uptime_s=message.uptime_s,
            serving=message.serving,
            store_kind=message.store.kind,
            key_provider=message.store.key_provider,
            collections=message.store.collections,
            rows=message.store.rows,
            disk_free_bytes=message.store.disk_free_bytes,
            disk_bytes=message.store.disk_bytes,
            audit_leaves=message.audit.leaves,
            audit_bytes=message.audit.bytes,
            audit_head=message.audit.head,
            certificate_expires=None if expires is None else _moment(expires),
            governance=_governance(message.governance) if message.HasField("governance") else None,
            memory=_memory(message.memory) if message.HasField("memory") else None,
            traffic=_traffic(message.traffic) if message.HasField("traffic") else None,
        )


def _governance(message: operations_pb2.GovernanceStatus) -> GovernanceStatus:
    return GovernanceStatus(
        agreements=message.agreements,
        holds=message.holds,
        emergencies=message.emergencies,
        clock_certain=message.clock_certain,
    )


def _memory(message: operations_pb2.MemoryStatus) -> MemoryStatus:
    return MemoryStatus(
        index_bytes=message.index_bytes,
        resident_bytes=message.resident_bytes,
        mask_blocks_ready=message.mask_blocks_ready,
        under_way_bytes=message.under_way_bytes,
        under_way_limit_bytes=message.under_way_limit_bytes,
    )


def _traffic(message: operations_pb2.TrafficStatus) -> TrafficStatus:
    return TrafficStatus(
        searches=message.searches,
        calls=message.calls,
        refused=message.refused,
        over_limit=message.over_limit,
        under_way=message.under_way,
    )


def _moment(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
