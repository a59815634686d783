"""The real client with a stop-watch in it: each public search is timed step by step and its bytes are counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy.typing as npt
from google.protobuf.message import Message

from unseen import params
from unseen.he.packing import Packing
from unseen.he.secret import PreparedQuery
from unseen_client import Client, rpcs
from unseen_client.pool import QueryPool
from unseen_client.progress import Watcher
from unseen_client.steps import Exchange, Local, Step

LOOK_EVERY_S = 0.005


@dataclass
class SearchTimes:
    """Seconds of one search on the client's clock. They follow each other; ``wait`` is ``scan`` and ``download``."""

    encrypt: float = 0.0
    """Quantise and encrypt, with a prepared query from the pool or one made now."""
    upload: float = 0.0
    """Until gRPC took the last chunk."""
    scan: float = 0.0
    """From the last chunk sent until the first scores come: seeds, transforms, the first blocks."""
    download: float = 0.0
    """For the other blocks, beside decrypting: they come as the server finishes them."""
    wait: float = 0.0
    """For the server and for its bytes."""
    decrypt: float = 0.0
    """Between arrivals of blocks; the server goes on scanning meanwhile."""
    rank: float = 0.0
    """Scores by slot -> best rows -> opened records."""
    total: float = 0.0
    bytes_up: int = 0
    """Bytes of the search's messages, without HTTP/2's framing."""
    bytes_down: int = 0


class TimedClient(Client):
    """``last`` has the times of the latest search."""

    def __init__(self, server: str, **options: object) -> None:
        super().__init__(server, **options)  # type: ignore[arg-type]
        self.last = SearchTimes()
        self._latest_local = 0.0
        self._asked: set[Packing] = set()
        """What the pool was asked for, and goes on to prepare."""
        self.exchange_seconds: dict[str, float] = {}
        """Of the latest exchange of each method, by path."""
        self.sent_bytes: Counter[str] = Counter()
        """Bytes of all messages up, by path, without HTTP/2's framing."""

    def __enter__(self) -> TimedClient:
        return self

    def timed_search(
        self, name: str, vector: npt.ArrayLike, top_k: int = 10, purpose: str | None = None
    ) -> tuple[list[str], SearchTimes]:
        """Search, and give the hits' ids and where the time went."""
        began = time.perf_counter()
        hits = self.search_vector(name, vector, top_k=top_k, purpose=purpose)
        self.last.total = time.perf_counter() - began
        self.last.rank = self._latest_local
        return [hit.id for hit in hits], self.last

    def packing_of(self, name: str) -> Packing:
        """The collection's packing now."""
        collection = self.collection(name)
        is_owner = params.is_owner(collection.parameter_id)
        of = params.owner_by_id if is_owner else params.by_id
        return Packing(of(collection.parameter_id).ring_degree, collection.dimension, collection.packing_factor)

    def wait_for_pool(self, packing: Packing) -> None:
        """Until a prepared query lies ready; a packing that was never asked for is asked for first."""
        if packing not in self._asked:
            self._asked.add(packing)
            self._session.pool.take(params.DEFAULT, packing)
        while not self._session.pool.ready(params.DEFAULT, packing):
            time.sleep(LOOK_EVERY_S)

    def empty_pool(self) -> None:
        """Start again with nothing prepared; what refills it waits for a pause that a run of queries never makes."""
        self._session.pool.close()
        self._session.pool = QueryPool()
        self._asked.clear()

    def _carry_out(self, step: Step, watcher: Watcher) -> object:
        began = time.perf_counter()
        try:
            return super()._carry_out(step, watcher)
        finally:
            if isinstance(step, Local):
                self._latest_local = time.perf_counter() - began

    def _exchange(self, exchange: Exchange) -> None:
        if exchange.rpc is not rpcs.SEARCH:
            began = time.perf_counter()
            super()._exchange(exchange)
            self.exchange_seconds[exchange.rpc.path] = time.perf_counter() - began
            self.sent_bytes[exchange.rpc.path] += sum(request.ByteSize() for request in exchange.requests)
            return
        times = self.last = SearchTimes(encrypt=self._latest_local)
        began = time.perf_counter()
        uploaded = [began]

        first_scores: list[float] = []

        def receive(reply: Message) -> None:
            started = time.perf_counter()
            if not first_scores and reply.WhichOneof("part") == "blocks":
                first_scores.append(started)
            exchange.receive(reply)
            times.decrypt += time.perf_counter() - started
            times.bytes_down += reply.ByteSize()

        super()._exchange(replace(exchange, requests=_Watched(exchange.requests, uploaded), receive=receive))
        times.upload = uploaded[0] - began
        times.wait = time.perf_counter() - began - times.upload - times.decrypt
        times.scan = (first_scores or [time.perf_counter()])[0] - uploaded[0]
        times.download = max(0.0, times.wait - times.scan)
        times.bytes_up = sum(request.ByteSize() for request in exchange.requests)


class _Watched(tuple[Message, ...]):
    """Requests that note when gRPC asked for one more than there is: the last was taken then."""

    _uploaded: list[float]

    def __new__(cls, requests: object, uploaded: list[float]) -> _Watched:
        watched = super().__new__(cls, requests)  # type: ignore[arg-type]
        watched._uploaded = uploaded
        return watched

    def __iter__(self) -> Iterator[Message]:
        yield from super().__iter__()
        self._uploaded[0] = time.perf_counter()


def time_prepare(packing: Packing, repeats: int) -> list[float]:
    """Seconds of making one query's key material: what the pool does ahead of time."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        PreparedQuery.prepare(params.DEFAULT, packing)
        seconds.append(time.perf_counter() - began)
    return seconds
