"""AuditService: what the log of the caller's tenant proves, and, for auditors, what it holds.

Heads and proofs are hashes and counts. An export is everything that happened in the tenant: who, when, what kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from unseen.audit.leaf import text_of_time
from unseen.audit.log import Log, Snapshot
from unseen.errors import InvalidInput, NotFound, NotPermitted
from unseen.v1 import audit_pb2, audit_pb2_grpc
from unseen_server import limits
from unseen_server.audit import Audit
from unseen_server.call import Call
from unseen_server.workers import Workers

LAST_TIME_MS = 253_402_300_799_999
"""The end of the year 9999: what leaves can say."""


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """Messages in, reads of one log, messages out."""

    def __init__(self, audit: Audit, workers: Workers) -> None:
        self._audit = audit
        self._workers = workers

    async def GetTreeHead(  # noqa: N802 - the contract's name
        self, request: audit_pb2.GetTreeHeadRequest, call: Call
    ) -> audit_pb2.GetTreeHeadResponse:
        """Show the newest head and what leads to it."""
        return await self._workers.change(_tree_head, self._audit, call.caller.tenant, request.known_size)

    async def ProveInclusion(  # noqa: N802
        self, request: audit_pb2.ProveInclusionRequest, call: Call
    ) -> audit_pb2.ProveInclusionResponse:
        """Prove one leaf in the newest tree."""
        return await self._workers.change(_inclusion, self._audit, call.caller.tenant, request.index)

    async def ExportLeaves(  # noqa: N802
        self, request: audit_pb2.ExportLeavesRequest, call: Call
    ) -> AsyncIterator[audit_pb2.ExportLeavesResponse]:
        """Send leaves from somewhere to the end, and the head that covers them."""
        if call.caller.collections is not None:
            raise NotPermitted("the audit log is about a whole tenant, this token for some of its collections")
        if request.since_ms > LAST_TIME_MS:
            raise InvalidInput(f"got a time of {request.since_ms} ms since 1970, expected at most {LAST_TIME_MS}")
        log = await self._workers.change(self._audit.log_of, call.caller.tenant)
        if request.first_index or request.since_ms:
            while await self._workers.change(log.explore):
                pass  # a step at a time: others have their turn in between
        parts = _export(log, log.now, request.first_index, request.since_ms)
        with self._workers.holding(2 * limits.EXPORT_PAGE_BYTES):
            while (part := await self._workers.change(next, parts, None)) is not None:
                yield part


def _tree_head(audit: Audit, tenant: str, known_size: int) -> audit_pb2.GetTreeHeadResponse:
    log = audit.log_of(tenant)
    now = log.now
    proof = log.consistency_proof(known_size, now.size) if known_size <= now.size else ()
    return audit_pb2.GetTreeHeadResponse(head=now.head, consistency=proof)


def _inclusion(audit: Audit, tenant: str, index: int) -> audit_pb2.ProveInclusionResponse:
    log = audit.log_of(tenant)
    now = log.now
    if index >= now.size:
        raise NotFound(f"the audit log has {now.size} leaves, there is none with index {index}")
    return audit_pb2.ProveInclusionResponse(head=now.head, inclusion=log.inclusion_proof(index, now.size))


def _export(log: Log, now: Snapshot, first_index: int, since_ms: int) -> Iterator[audit_pb2.ExportLeavesResponse]:
    """An export's messages; leaves before the first one of ``since_ms`` are left out, later ones never."""
    index, page, page_bytes = min(first_index, now.size), list[bytes](), 0
    if since_ms:
        index = max(index, log.first_since(text_of_time(since_ms), now.size))
    begin = audit_pb2.ExportBegin(first_index=index, subtrees=log.subtrees(index))
    yield audit_pb2.ExportLeavesResponse(begin=begin)
    for leaf in log.leaves(index, now.size):
        if page_bytes + len(leaf) > limits.EXPORT_PAGE_BYTES:
            yield audit_pb2.ExportLeavesResponse(page=audit_pb2.ExportPage(leaves=page))
            page, page_bytes = [], 0
        page.append(leaf)
        page_bytes += len(leaf)
    if page:
        yield audit_pb2.ExportLeavesResponse(page=audit_pb2.ExportPage(leaves=page))
    yield audit_pb2.ExportLeavesResponse(head=now.head)
