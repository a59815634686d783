"""Sends recorded searches to a server at a given rate, whatever the server does, and says what became of them.

    python -m bench.load_generator --address HOST:PORT --messages FILE --rate PER_SECOND --seconds S

A process of its own, started by ``bench.load``: it sends bytes that were made before, so that it takes little of the
machine that it shares with the server. Arrivals are a Poisson process that waits for nobody (an open loop). A latency
counts from the moment at which a search was due, not from when it was sent, so a generator that falls behind makes the
figures worse and never better; how far it fell behind is told. ``--closed N`` keeps N searches under way instead.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc

from unseen import wire
from unseen.v1 import search_pb2

SEARCH = "/unseen.v1.SearchService/Search"
CHANNELS = 8
"""A server takes 64 streams of one connection."""
DEADLINE_S = 60.0
REFUSED_PAUSE_S = 0.02
"""Of a closed loop: else those that are refused would keep the server busy with nothing else."""
MOST_UNDER_WAY = 400
"""Far more than a server lets in: the generator waits for nobody."""


@dataclass
class Outcomes:
    """What became of the searches of one run."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    """At which second of the run each was due, and the seconds that it took."""
    refused: list[tuple[str, float, bool]] = field(default_factory=list)
    """Status and code, as ``RESOURCE_EXHAUSTED SERVER_BUSY``; the seconds that it took; whether a time to wait came."""
    cut_short: int = 0
    """Answers that ended well and were not whole."""
    late_s: list[float] = field(default_factory=list)
    """How long after it was due each search was sent."""


@dataclass(frozen=True)
class Recorded:
    """Searches as they go over the wire, and how many bytes of blocks answer each."""

    queries: tuple[tuple[bytes, ...], ...]
    reply_bytes: int
    metadata: tuple[tuple[str, str], ...]

    @staticmethod
    def read(file: Path) -> Recorded:
        """What ``bench.load`` wrote."""
        content = json.loads(file.read_text())
        queries = tuple(tuple(base64.b64decode(part) for part in query) for query in content["queries"])
        return Recorded(queries, content["reply_bytes"], tuple(map(tuple, content["metadata"])))


class Generator:
    """Used by one thread, which hands each search to a thread of its own.

    Not asyncio: grpc.aio loses the status of a call that ends while it is sending (github.com/grpc/grpc/issues/36066),
    and statuses are what is measured here.
    """

    def __init__(self, address: str, recorded: Recorded) -> None:
        self._recorded = recorded
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 4 << 20)]
        self._channels = [grpc.insecure_channel(address, options) for _ in range(CHANNELS)]
        self._next_query = itertools.cycle(recorded.queries)
        self._next_channel = itertools.cycle(self._channels)
        self._began = time.perf_counter()
        self.outcomes = Outcomes()

    def open_loop(self, rate: float, seconds: float, seed: int) -> None:
        """Searches at random moments, so many a second, none waiting for another."""
        with ThreadPoolExecutor(MOST_UNDER_WAY) as threads:
            self._began = time.perf_counter()
            for due in _poisson(rate, seconds, seed):
                time.sleep(max(0.0, due - self._now()))
                threads.submit(self.search, due, next(self._next_channel), next(self._next_query))
        self.close()

    def closed_loop(self, together: int, seconds: float) -> None:
        """So many searches under way at any moment."""

        def one_after_the_other(channel: grpc.Channel) -> None:
            while self._now() < seconds:
                if not self.search(self._now(), channel, next(self._next_query)):
                    time.sleep(REFUSED_PAUSE_S)

        with ThreadPoolExecutor(together) as threads:
            self._began = time.perf_counter()
            for _ in range(together):
                threads.submit(one_after_the_other, next(self._next_channel))
        self.close()

    def search(self, due: float, channel: grpc.Channel, query: Sequence[bytes]) -> bool:
        """One search, due at that second; whether it was answered."""
        self.outcomes.late_s.append(self._now() - due)
        method: Any = channel.stream_stream(SEARCH)  # bytes up, bytes down
        received = 0
        try:
            for reply in method(iter(query), timeout=DEADLINE_S, metadata=self._recorded.metadata):
                received += len(search_pb2.SearchResponse.FromString(reply).blocks)
        except grpc.RpcError as error:
            self._refused(error, self._now() - due)
            return False
        self.outcomes.answered.append((due, self._now() - due))
        self.outcomes.cut_short += received != self._recorded.reply_bytes
        return True

    def _refused(self, error: grpc.RpcError, seconds: float) -> None:
        metadata: Any = error.trailing_metadata() or ()
        trailer = {key: str(value) for key, value in metadata}
        how = f"{error.code().name} {trailer.get(wire.CODE_METADATA_KEY, '-')}"
        self.outcomes.refused.append((how, seconds, wire.RETRY_METADATA_KEY in trailer))

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def close(self) -> None:
        """Let go of the connections."""
        for channel in self._channels:
            channel.close()


def _poisson(rate: float, seconds: float, seed: int) -> Iterator[float]:
    chance, at = random.Random(seed), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        yield at


def generate(given: argparse.Namespace) -> Outcomes:
    """Run what the command line asks for."""
    generator = Generator(given.address, Recorded.read(given.messages))
    if given.closed:
        generator.closed_loop(given.closed, given.seconds)
    else:
        generator.open_loop(given.rate, given.seconds, given.seed)
    return generator.outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--messages", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--closed", type=int, default=0)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    json.dump(asdict(generate(parser.parse_args())), sys.stdout)


if __name__ == "__main__":
    main()
