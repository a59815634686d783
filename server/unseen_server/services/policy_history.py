"""The history of an agreement as messages: in one, or in pages that each fit one.

Versions have up to 64 KiB and may be many; both lists only grow, so a page goes on where the one before ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unseen.errors import LimitExceeded
from unseen.v1 import governance_pb2
from unseen_server import limits
from unseen_server.governance.terms import Acceptance, Version

ITEM_BYTES = 16
"""What a list adds to each of its items, at most."""


def history_message(
    versions: Sequence[Version], acceptances: Sequence[Acceptance], first_version: int, skipped_acceptances: int
) -> governance_pb2.GetPolicyHistoryResponse:
    """Everything when ``first_version`` is 0, else a page; LimitExceeded when no message holds everything."""
    page = governance_pb2.GetPolicyHistoryResponse()
    left = limits.MAX_MESSAGE_BYTES - ITEM_BYTES
    for item in _items(versions[max(first_version, 1) - 1 :], acceptances[skipped_acceptances:]):
        left -= item.ByteSize() + ITEM_BYTES
        if left < 0:
            page.more = True
            break
        if isinstance(item, governance_pb2.PolicyVersion):
            page.policies.append(item)
        else:
            page.acceptances.append(item)
    if page.more and not first_version:  # gRPC would cut the call without a word of ours
        raise LimitExceeded("the history of this policy does not fit one answer; ask for it page by page")
    return page


def version_message(version: Version) -> governance_pb2.PolicyVersion:
    """One version, as it was signed, and the server's receipt."""
    return governance_pb2.PolicyVersion(policy=version.signed, receipt=version.receipt)


def _items(
    versions: Sequence[Version], acceptances: Sequence[Acceptance]
) -> Iterator[governance_pb2.PolicyVersion | governance_pb2.Acceptance]:
    for version in versions:
        yield version_message(version)
    for one in acceptances:
        yield governance_pb2.Acceptance(caller=one.caller, version=one.version, at=one.at)
