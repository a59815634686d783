"""SearchService: an encrypted query up, encrypted scores down. Nothing here can read either.

    header -> checks -> exactly the query's bytes -> a scan in a thread -> blocks sent on as they are ready

The scan never waits for the client: it fills a buffer, so a slow reader cannot hold a collection's lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing

import numpy as np

from unseen import wire
from unseen.errors import LimitExceeded, MalformedMessage
from unseen.he import message
from unseen.v1 import search_pb2
from unseen.v1.search_pb2_grpc import SearchServiceServicer
from unseen_server import engine, limits
from unseen_server.call import Call
from unseen_server.engine import Engine
from unseen_server.governance.assembly import Governance
from unseen_server.live_collection import Compartments, Extents, LiveCollection, ReplyStart
from unseen_server.quota import Quotas
from unseen_server.workers import Workers

Requests = AsyncIterator[search_pb2.SearchRequest]


class SearchService(SearchServiceServicer):
    """Messages in, a scan, messages out."""

    def __init__(self, engine: Engine, governance: Governance, quotas: Quotas, workers: Workers) -> None:
        self._engine = engine
        self._governance = governance
        self._quotas = quotas
        self._workers = workers

    async def Search(  # noqa: N802 - the contract's name
        self, requests: Requests, call: Call
    ) -> AsyncIterator[search_pb2.SearchResponse]:
        """Score one query against every row of a collection."""
        header = await _header(requests)
        live = self._engine.by_uid(call.caller, wire.require_uid(header.collection_uid, "a collection's uid"))
        engine.require_parameters(live.info, header.parameter_id)
        live.require_packing(header.packing_factor)
        compartments = self._governance.admission.compartments(live, call, header.purpose)
        bits = live.parameters.bits_per_coefficient  # one coefficient comes back for each row
        self._quotas.take_search(call.caller)
        await self._quotas.require_bits(call.caller, live.info.uid, bits)
        query_bytes = message.query_bytes(live.parameters, live.packing)
        block_bytes = message.reply_block_bytes(live.parameters, live.packing)
        with ExitStack() as held, self._workers.scan_place() as place:
            query = await self._read_query(requests, query_bytes, held)
            # The reply's memory is set aside only now: a header costs the caller nothing and must cost nothing here.
            held.close()
            reply_bytes = live.packing.blocks(live.info.slots) * block_bytes
            held.enter_context(self._workers.holding(query_bytes + reply_bytes))
            place.keep()  # nothing is counted as released for a search that is then sent away
            await self._quotas.release(call.caller, live.info.uid, bits)
            call.notes.all_is_checked()
            reply = Reply(live, header.packing_factor, query, compartments)
            done = place.scan(reply.compute)
            try:
                async with aclosing(reply.parts(done)) as parts:
                    async for part in parts:
                        yield part
            finally:
                reply.cancel()

    async def _read_query(self, requests: Requests, expected_bytes: int, held: ExitStack) -> bytes:
        """Exactly this many bytes and then the stream's end; refused at the first byte too many."""
        query = bytearray()
        async for request in requests:
            if request.WhichOneof("part") != "query":
                raise MalformedMessage("after its header a search carries the query's bytes and nothing else")
            if not 1 <= len(request.query) <= wire.MAX_CHUNK_BYTES:
                raise LimitExceeded(f"got a chunk of {len(request.query)} bytes, expected 1 to {wire.MAX_CHUNK_BYTES}")
            if len(query) + len(request.query) > expected_bytes:
                raise MalformedMessage(
                    f"the query is longer than the {expected_bytes} bytes that this collection needs"
                )
            held.enter_context(self._workers.holding(len(request.query)))
            query += request.query
        if len(query) != expected_bytes:
            raise MalformedMessage(f"the query ended after {len(query)} bytes, this collection needs {expected_bytes}")
        return bytes(query)


class Reply:
    """One reply on its way from the thread that computes it to the call that sends it."""

    def __init__(
        self, live: LiveCollection, packing_factor: int, query: bytes, compartments: Compartments | None
    ) -> None:
        self._live = live
        self._packing_factor = packing_factor
        self._query = query
        self._compartments = compartments
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[search_pb2.SearchResponse | None] = asyncio.Queue()
        self._gathered = bytearray()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Let the scan stop at its next block; nobody waits for it."""
        self._cancelled.set()

    def compute(self) -> None:
        """Run the scan: in a thread of its own, to its end or until it is cancelled."""
        try:
            if not self._cancelled.is_set():
                self._live.answer(
                    self._packing_factor,
                    self._query,
                    self._start,
                    self._emit,
                    self._cancelled.is_set,
                    self._compartments,
                )
                self._send_on()
        finally:
            self._put(None)

    async def parts(self, done: asyncio.Future[None]) -> AsyncGenerator[search_pb2.SearchResponse, None]:
        """The messages of the reply; at the end whatever error the scan had."""
        while (part := await self._ready.get()) is not None:
            yield part
        await done

    def _start(self, start: ReplyStart) -> None:
        header = search_pb2.SearchReplyHeader(
            epoch=start.epoch,
            slots=start.slots,
            blocks=start.blocks,
            partial=start.extents is not None,
            extents=_runs(start.extents),
        )
        self._put(search_pb2.SearchResponse(header=header))

    def _emit(self, blocks: bytes) -> None:
        self._gathered += blocks
        if len(self._gathered) >= limits.REPLY_CHUNK_BYTES:
            self._send_on()

    def _send_on(self) -> None:
        if self._gathered:
            self._put(search_pb2.SearchResponse(blocks=bytes(self._gathered)))
            self._gathered.clear()

    def _put(self, part: search_pb2.SearchResponse | None) -> None:
        self._loop.call_soon_threadsafe(self._ready.put_nowait, part)


def _runs(extents: Extents | None) -> list[search_pb2.ExtentRun]:
    """Neighbouring extents as runs."""
    if extents is None or not len(extents):
        return []
    runs = np.split(extents, np.flatnonzero(np.diff(extents) != 1) + 1)
    return [search_pb2.ExtentRun(first=int(run[0]), count=len(run)) for run in runs]


async def _header(requests: Requests) -> search_pb2.SearchHeader:
    first = await anext(requests, None)
    if first is None or first.WhichOneof("part") != "header":
        raise MalformedMessage("a search begins with its header")
    return first.header
