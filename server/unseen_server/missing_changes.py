"""Does the store hold what the audit log says was acknowledged? Asked once, at a start after a crash.

The store knows every change by its request id, and the change's leaf names it. The two lie in files of their own, and
both are on disk before a change is acknowledged. A disk that loses the end of the store's log takes changes with it
that nothing in the store can miss: the store looks as after a crash a moment earlier. The audit log still tells of
them. After a restore it tells of what came since the backup.
"""

from __future__ import annotations

from unseen.audit.leaf import DONE, leaf_fields
from unseen.store.interface import Store
from unseen_server.acts import ACTS, Kind
from unseen_server.audit import Audit
from unseen_server.call import own_request_id


def count_missing_changes(store: Store, audit: Audit) -> int:
    """How many acknowledged changes the store does not know, of those that opening the audit log had to read."""
    tails = (leaf_fields(leaf) for log in audit.logs() for leaf in log.tail)
    return sum(not store.knows_request(request_id) for fields in tails if (request_id := _acknowledged(fields)))


def _acknowledged(fields: dict[str, object]) -> bytes:
    """The store's id of a change that a leaf says was done; empty for any other leaf."""
    if ACTS.get(str(fields["act"])) is not Kind.CHANGE or fields["outcome"] != DONE or "request" not in fields:
        return b""
    # The tenant by the leaf, not by the store: that may have lost whatever named it.
    return own_request_id(str(fields.get("tenant", "")), bytes.fromhex(str(fields["request"])))
