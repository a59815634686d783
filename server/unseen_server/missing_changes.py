"""Does the store hold what the audit log says was acknowledged? Asked once, at a start after a crash.

The two lie in files of their own, and both are on disk before a change is acknowledged. A disk that loses the end of
the store's log takes changes with it that nothing in the store can miss: the store looks as after a crash a moment
earlier. The audit log still tells of them. After a restore it tells of what came since the backup.
"""

from __future__ import annotations

from unseen.audit.leaf import DONE, leaf_fields
from unseen.store.interface import Store
from unseen_server.audit import Audit
from unseen_server.call import own_request_id

REMEMBERED = frozenset(
    {
        *("CreateCollection", "DeleteCollection", "EnrolRows", "EraseRows"),
        *("SetPolicy", "AcceptPolicy", "RecordConsent", "WithdrawConsent", "SetHold"),
    }
)
"""Acts that the store remembers under their request id, whenever they are done. Tokens are not among them."""


def count_missing_changes(store: Store, audit: Audit) -> int:
    """How many acknowledged changes, of those that opening the audit log had to read, the store does not know."""
    tenants = {"", *(stored.tenant for stored in store.collections())}
    by_origin = {audit.origin_of(tenant): tenant for tenant in tenants}
    return sum(
        not store.knows_request(own_request_id(by_origin[log.origin], request_id))
        for log in audit.logs()
        if log.origin in by_origin
        for leaf in log.tail
        if (request_id := _acknowledged(leaf))
    )


def _acknowledged(leaf: bytes) -> bytes:
    """The request id of a change that a leaf says was done; empty for any other leaf."""
    fields = leaf_fields(leaf)
    is_change = fields["act"] in REMEMBERED and fields["outcome"] == DONE
    return bytes.fromhex(str(fields.get("request", ""))) if is_change else b""
