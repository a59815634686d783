"""IndexService: rows enrolled, erased, mirrored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from unseen import params, wire
from unseen.audit.leaf import Details
from unseen.errors import LimitExceeded, MalformedMessage
from unseen.governance.fields import MOST_ITEMS
from unseen.governance.policy import DIGEST_BYTES
from unseen.store.interface import Store
from unseen.types import CatalogueChanges, EncryptedBlock, RowBatch
from unseen.v1 import index_pb2, index_pb2_grpc
from unseen_server import engine, limits
from unseen_server.call import Call
from unseen_server.engine import Engine
from unseen_server.governance.admission import Stated
from unseen_server.governance.assembly import Governance
from unseen_server.governance.erasing import RequestId
from unseen_server.workers import Workers


class IndexService(index_pb2_grpc.IndexServiceServicer):
    """Messages in, calls of the engine and the store, messages out."""

    def __init__(self, engine: Engine, store: Store, governance: Governance, workers: Workers) -> None:
        self._engine = engine
        self._store = store
        self._governance = governance
        self._workers = workers

    async def EnrolRows(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[index_pb2.EnrolRowsRequest], call: Call
    ) -> index_pb2.EnrolRowsResponse:
        """Add the rows of a stream, all or none."""
        header = await _enrol_header(requests)
        request_id = call.own_request_id(header.request_id)
        live = await self._workers.change(self._engine.for_mutation, call.caller, header.collection_uid, request_id)
        engine.require_parameters(live.info, header.parameter_id)
        engine.require_model(live.info, header.model_id)
        with ExitStack() as held:
            batches: list[RowBatch] = []
            blocks: list[EncryptedBlock] = []
            missing = header.row_count
            dimension = 0 if params.is_owner(live.info.parameter_id) else live.info.dimension
            async for request in requests:
                held.enter_context(self._workers.holding(request.ByteSize()))
                if request.WhichOneof("part") == "block":
                    blocks.append(wire.block_from_message(request.block))
                    continue
                batches.append(_enrol_batch(request, dimension, missing, header.moves))
                missing -= len(batches[-1].row_ids)
            if missing:
                raise MalformedMessage(f"the stream ended {missing} rows before the {header.row_count} it announced")
            change = await self._workers.change_in_turn(
                (header.collection_uid,),
                self._governance.admission.enrol,
                live,
                call,
                request_id,
                _stated(header),
                replace(_joined(batches), blocks=tuple(blocks)),
            )
        return index_pb2.EnrolRowsResponse(epoch=change.epoch, repeated_request=change.repeated)

    async def EraseRows(  # noqa: N802
        self, request: index_pb2.EraseRowsRequest, call: Call
    ) -> index_pb2.EraseRowsResponse:
        """Destroy rows, all or none."""
        request_id = RequestId.of(call, wire.require_uid(request.request_id, "a request id"))
        uid = wire.require_uid(request.collection_uid, "a collection's uid")
        row_ids = wire.split_row_ids(request.row_ids)
        if not 1 <= len(row_ids) <= limits.MAX_ROWS_PER_ERASURE:
            raise LimitExceeded(f"got {len(row_ids)} rows to erase, expected 1 to {limits.MAX_ROWS_PER_ERASURE}")
        live = await self._workers.change(self._engine.for_mutation, call.caller, uid, request_id.own)
        block = wire.block_from_message(request.block) if request.HasField("block") else None
        erased = await self._workers.change_in_turn(
            (uid,), self._governance.erasing.rows, live, request_id, row_ids, block
        )
        call.notes.add(Details(document=erased.digest))
        return index_pb2.EraseRowsResponse(
            epoch=erased.epoch, repeated_request=erased.repeated, certificate=erased.certificate
        )

    async def SyncCatalogue(  # noqa: N802
        self, request: index_pb2.SyncCatalogueRequest, call: Call
    ) -> AsyncIterator[index_pb2.SyncCatalogueResponse]:
        """Send what changed, a page at a time, the last one marked."""
        uid = wire.require_uid(request.collection_uid, "a collection's uid")
        pages = self._store.changes(
            uid,
            request.since_epoch,
            # Not the store's own epoch: a mirror must not be ahead of what a search answers from.
            self._engine.by_uid(call.caller, uid).info.epoch,
            limits.CATALOGUE_PAGE_BYTES,
            limits.CATALOGUE_ROWS_PER_CALL,
        )
        with self._workers.holding(limits.SYNCHRONISATION_BYTES):
            page = await self._workers.change(_next_page, pages)
            while page is not None:
                following = await self._workers.change(_next_page, pages)
                yield _page_to_message(page, last=following is None)
                page = following


async def _enrol_header(requests: AsyncIterator[index_pb2.EnrolRowsRequest]) -> index_pb2.EnrolHeader:
    first = await anext(requests, None)
    if first is None or first.WhichOneof("part") != "header":
        raise MalformedMessage("an enrolment begins with its header")
    header = first.header
    wire.require_uid(header.request_id, "a request id")
    wire.require_uid(header.collection_uid, "a collection's uid")
    if not 1 <= header.row_count <= limits.MAX_ROWS_PER_ENROLMENT:
        raise LimitExceeded(
            f"got an enrolment of {header.row_count} rows, expected 1 to {limits.MAX_ROWS_PER_ENROLMENT}; "
            "send more rows in several enrolments"
        )
    return header


def _stated(header: index_pb2.EnrolHeader) -> Stated:
    if header.policy_digest and len(header.policy_digest) != DIGEST_BYTES:
        raise MalformedMessage(f"a policy's digest has {len(header.policy_digest)} bytes, it needs {DIGEST_BYTES}")
    if len(header.purposes) > MOST_ITEMS:
        raise LimitExceeded(f"got {len(header.purposes)} purposes, expected at most {MOST_ITEMS}")
    return Stated(header.policy_digest, frozenset(header.purposes))


def _enrol_batch(request: index_pb2.EnrolRowsRequest, dimension: int, missing: int, moves: bool) -> RowBatch:
    if request.WhichOneof("part") != "batch":
        raise MalformedMessage("after its header an enrolment carries batches and blocks, and nothing else")
    batch = wire.batch_from_message(request.batch, dimension, moves)
    if len(batch.row_ids) > missing:
        raise MalformedMessage("an enrolment carries more rows than its header announced")
    largest = max((len(record) for record in batch.sealed_records), default=0)
    if largest > limits.MAX_RECORD_BYTES:
        raise LimitExceeded(
            f"got a sealed record of {largest} bytes, expected at most {limits.MAX_RECORD_BYTES}; "
            "make the thumbnail smaller"
        )
    return batch


def _joined(batches: list[RowBatch]) -> RowBatch:
    # A batch without consents beside one that has them: its rows have none.
    consents = [batch.consents or (b"",) * len(batch.row_ids) for batch in batches]
    return RowBatch(
        tuple(row_id for batch in batches for row_id in batch.row_ids),
        np.concatenate([batch.vectors for batch in batches]),
        tuple(record for batch in batches for record in batch.sealed_records),
        tuple(consent for some in consents for consent in some) if any(map(any, consents)) else (),
        tuple(slot for batch in batches for slot in batch.slots),
        moves=batches[0].moves,
    )


def _next_page(pages: Iterator[CatalogueChanges]) -> CatalogueChanges | None:
    return next(pages, None)


def _page_to_message(page: CatalogueChanges, last: bool) -> index_pb2.SyncCatalogueResponse:
    return index_pb2.SyncCatalogueResponse(
        epoch=page.epoch,
        added=[wire.entry_to_message(entry) for entry in page.added],
        erased_row_ids=wire.join_row_ids(page.erased),
        last=last,
    )
