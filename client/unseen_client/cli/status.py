"""The status command: how the server is doing, for its operator."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say

if TYPE_CHECKING:
    from unseen_client.status import GovernanceStatus, ServerStatus


@linked
def status(*, link: Link) -> None:
    """Show how the server is doing. Takes the role operator; shows no data.

    \b
    Examples:
      unseen status
      unseen status --json | jq .disk_free_bytes
    """
    with link.client() as client:
        found = client.status()
    say(link.json, _fields(found), "\n".join(f"{name:<12}{value}" for name, value in _lines(found)))


def _fields(found: ServerStatus) -> dict[str, object]:
    expires = found.certificate_expires
    return asdict(found) | {"certificate_expires": None if expires is None else expires.isoformat()}


def _lines(found: ServerStatus) -> list[tuple[str, str]]:
    serving = "serving" if found.serving else "NOT SERVING: the audit log cannot be written, make room on its disk"
    lines = [
        ("state", f"{serving}, for {_duration(found.uptime_s)}"),
        ("rows", f"{found.rows:,} in {found.collections:,} collections"),
        ("store", f"{found.store_kind}, master key from {found.key_provider}"),
        ("disk", f"{_size(found.disk_free_bytes)} of {_size(found.disk_bytes)} free"),
        ("audit log", f"{found.audit_leaves:,} leaves, {_size(found.audit_bytes)}"),
        ("head", _root(found.audit_head)),
    ]
    lines += _governance(found.governance)
    if found.memory is not None:
        memory = found.memory
        lines += [
            ("memory", f"{_size(memory.index_bytes)} of rows, {_size(memory.resident_bytes)} altogether"),
            ("masks", f"ready for {memory.mask_blocks_ready:,} blocks"),
            ("under way", f"{_size(memory.under_way_bytes)} of at most {_size(memory.under_way_limit_bytes)}"),
        ]
    if found.traffic is not None:
        traffic = found.traffic
        lines += [
            ("searches", f"{traffic.searches:,}"),
            ("calls", f"{traffic.calls:,} answered, {traffic.refused:,} refused, {traffic.under_way:,} under way"),
            ("limits", f"{traffic.over_limit:,} calls were over one"),
        ]
    if found.certificate_expires is not None:
        lines.append(("certificate", f"ends {found.certificate_expires:%Y-%m-%d %H:%M} UTC"))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.component_versions.items()))
    return [*lines, ("version", f"unseen {found.version} with {versions}")]


def _governance(found: GovernanceStatus | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    lines = [("agreements", f"{found.agreements:,}, {found.holds:,} legal holds stand")]
    if found.emergencies:
        lines.append(("EMERGENCY", f"{found.emergencies:,} open: unseen emergency list NAME"))
    if not found.clock_certain:
        lines.append(("CLOCK", "it leapt ahead: nothing governed is scored until it is set right, or a restart"))
    return lines


def _root(head: str) -> str:
    """The line of a signed head that is its root."""
    return [*head.split("\n"), "", "", ""][2]


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
