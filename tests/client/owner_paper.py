"""A paper server of owner-encrypted collections that keeps every block it was ever given, and may serve old ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from google.protobuf.message import Message

from tests.client.paper_server import PaperCollection, PaperServer
from unseen import params, wire
from unseen.errors import BlockChanged, RowExists, RowNotFound
from unseen.he.owner.layout import SIDE_BLOCKS, Layout
from unseen.he.owner.scan import OwnerScanIndex
from unseen.he.scan_threads import ScanThreads
from unseen.types import CatalogueEntry, EncryptedBlock
from unseen.v1 import index_pb2, search_pb2
from unseen_client.steps import Exchange

Indexes = tuple[OwnerScanIndex, OwnerScanIndex]


class OwnerPaperServer(PaperServer):
    """The contract of owner-encrypted collections in memory, scored by the real scan; a test may make it lie."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[int, list[tuple[int, bytes]]] = {}
        """Every version of every block, with the epoch that wrote it."""
        self.served: dict[int, int] = {}
        """Blocks of which another version than the last is scored: number -> index."""
        self.change_reply: Callable[[search_pb2.SearchReplyHeader, bytearray], None] = lambda header, blocks: None
        self._threads = ScanThreads(1)
        self._indexes: Indexes | None = None
        self._indexed: dict[int, int] = {}
        """What is in them: of each block which version."""
        self.requests: list[tuple[str, tuple[bytes, ...]]] = []
        """All that came: method, and every message of the request."""

    def answer(self, exchange: Exchange) -> Iterator[Message]:
        method = exchange.rpc.path.rpartition("/")[2]
        self.requests.append((method, tuple(one.SerializeToString(deterministic=True) for one in exchange.requests)))
        yield from super().answer(exchange)

    def on_get_server_info(self, requests):
        for reply in super().on_get_server_info(requests):
            reply.parameter_ids.append(params.OWNER_DEFAULT.id)
            yield reply

    def on_enrol_rows(self, requests):
        header = requests[0].header
        collection = self._of(header.collection_uid)
        batches = [one.batch for one in requests[1:] if one.WhichOneof("part") == "batch"]
        blocks = [wire.block_from_message(one.block) for one in requests[1:] if one.WhichOneof("part") == "block"]

        def enrol():
            rows = [
                row
                for one in batches
                for row in zip(wire.split_row_ids(one.row_ids), one.slots, one.sealed_records, strict=True)
            ]
            if any(row_id in collection.rows for row_id, _, _ in rows):
                raise RowExists("a row is there already")
            self._write(collection, blocks)
            for row_id, slot, sealed in rows:
                collection.slots = max(collection.slots, slot + 1)
                entry = CatalogueEntry(row_id, slot, collection.epoch, sealed)
                collection.rows[row_id] = (entry, np.zeros(0, np.int16))
            return collection.epoch

        content = b"".join(request.SerializeToString() for request in requests)
        epoch, repeated = self._once(header.request_id, content, enrol)
        yield index_pb2.EnrolRowsResponse(epoch=epoch, repeated_request=repeated)

    def on_erase_rows(self, requests):
        (request,) = requests
        collection = self._of(request.collection_uid)

        def erase():
            row_ids = wire.split_row_ids(request.row_ids)
            if any(row_id not in collection.rows for row_id in row_ids):
                raise RowNotFound("a row is not there")
            self._write(collection, [wire.block_from_message(request.block)])
            for row_id in row_ids:
                del collection.rows[row_id]
                collection.erased.append((collection.epoch, row_id))
            return collection.epoch

        epoch, repeated = self._once(request.request_id, request.SerializeToString(), erase)
        yield index_pb2.EraseRowsResponse(epoch=epoch, repeated_request=repeated)

    def _write(self, collection: PaperCollection, blocks: list[EncryptedBlock]) -> None:
        if any(self.versions.get(one.number, [(0, b"")])[-1][0] > one.known_epoch for one in blocks):
            raise BlockChanged("somebody has written this block since")
        collection.epoch += 1
        for one in blocks:
            self.versions.setdefault(one.number, []).append((collection.epoch, one.ciphertexts))

    def close(self) -> None:
        """End the threads of the scan."""
        self._threads.close()

    def on_search(self, requests):
        collection = self._of(requests[0].header.collection_uid)
        query = b"".join(request.query for request in requests[1:])
        layout = Layout.of(params.owner_by_id(collection.parameter_id), collection.dimension, collection.factor)
        side_blocks = max((number + 1 for number in self.versions if layout.is_side(number)), default=0)
        whole = layout.whole.blocks(layout.whole_slots(collection.slots))
        header = search_pb2.SearchReplyHeader(
            epoch=collection.epoch, slots=collection.slots, blocks=side_blocks + whole, side_blocks=side_blocks
        )
        blocks = self._scanned(layout, query, side_blocks, whole)
        self.change_reply(header, blocks)
        yield search_pb2.SearchResponse(header=header)
        if blocks:
            yield search_pb2.SearchResponse(blocks=bytes(blocks))

    def _scanned(self, layout: Layout, query: bytes, side_blocks: int, whole: int) -> bytearray:
        slots = side_blocks * layout.side.rows_per_block, whole * layout.whole.rows_per_block
        served = {number: self.served.get(number, -1) % len(versions) for number, versions in self.versions.items()}
        if self._indexes is None or self._indexed != served:
            self._indexes, self._indexed = self._filled(layout, served, slots), served
        side, rest = self._indexes
        reply = bytearray()
        side.answer(query, slots[0], reply.extend, query_packing=layout.whole)
        rest.answer(query, slots[1], reply.extend)
        return reply

    def _filled(self, layout: Layout, served: dict[int, int], slots: tuple[int, int]) -> Indexes:
        side, rest = (
            OwnerScanIndex(layout.parameters, one.dimension, one.factor, self._threads)
            for one in (layout.side, layout.whole)
        )
        side.reserve(slots[0])
        rest.reserve(slots[1])
        for number, version in served.items():
            index, at = (side, number) if layout.is_side(number) else (rest, number - SIDE_BLOCKS)
            index.put_block(at, self.versions[number][version][1])
        return side, rest
