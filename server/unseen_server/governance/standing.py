"""What stands under the agreements now, counted: for whoever runs the server. No names, no reason codes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from unseen.errors import ClockUncertain
from unseen_server.governance.assembly import Governance


@dataclass(frozen=True)
class GovernanceCounts:
    """How many of each."""

    agreements: int
    holds: int
    emergencies: int
    clock_certain: bool


def count_standing(governance: Governance, uids: Set[bytes] | None) -> GovernanceCounts:
    """Of these collections, or of all."""
    terms = [one for one in governance.registry.all() if uids is None or one.uid in uids]
    clock = governance.office.clock
    try:
        now, certain = clock.now(), True
    except ClockUncertain:
        now, certain = clock.now_or_last(), False
    return GovernanceCounts(
        agreements=len(terms),
        holds=sum(len(one.holds.standing()) for one in terms),
        emergencies=sum(grant.is_active(now) for one in terms for grant in one.emergencies.all()),
        clock_certain=certain,
    )
