"""The peer of the encrypted search: plaintext search of the same rows in a process of its own, over gRPC as well.

    python -m bench.plaintext_server --rows N --dim D --seed S      prints its port, serves until its input is closed

A query goes up as float32, every score comes down as float32 in chunks, and the client picks the best: what the
encrypted search does, without the encryption. The echo takes and sends as many bytes as an encrypted search does, in
chunks of the same size, and computes nothing: what is left is the transport.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import grpc
import numpy as np
import numpy.typing as npt

from bench.vectors import clustered_vectors

SEARCH, ECHO = "/peer/Search", "/peer/Echo"
UP_CHUNK_BYTES, DOWN_CHUNK_BYTES = 1 << 20, 256 << 10
LIMIT = [("grpc.max_receive_message_length", 4 << 20)]

Float32Array = npt.NDArray[np.float32]
Call: TypeAlias = "grpc.StreamStreamMultiCallable[bytes, bytes]"


class PlaintextPeer:
    """The peer's process, and a client of it."""

    def __init__(self, rows: int, dimension: int, seed: int) -> None:
        command = [sys.executable, "-m", "bench.plaintext_server"]
        command += ["--rows", str(rows), "--dim", str(dimension), "--seed", str(seed)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", LIMIT)
        self._search: Call = self._channel.stream_stream(SEARCH)
        self._echo: Call = self._channel.stream_stream(ECHO)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def search(self, query: Float32Array, top_k: int) -> list[int]:
        """The best rows, best first."""
        scores = np.frombuffer(b"".join(self._search(iter([query.tobytes()]))), np.float32)
        best = np.argpartition(-scores, top_k)[:top_k]
        return [int(row) for row in best[np.argsort(-scores[best])]]

    def echo(self, bytes_up: int, bytes_down: int) -> None:
        """Send and receive so many bytes."""
        head = bytes_down.to_bytes(8, "little")
        for _ in self._echo(iter([head, *chunks(bytes(bytes_up), UP_CHUNK_BYTES)])):
            pass

    def close(self) -> None:
        self._channel.close()
        self._process.communicate()


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class _Peer(grpc.GenericRpcHandler):
    def __init__(self, rows: Float32Array) -> None:
        self._rows = rows

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        work = self._search if handler_call_details.method == SEARCH else self._echo
        return grpc.stream_stream_rpc_method_handler(work)

    def _search(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        query = np.frombuffer(b"".join(requests), np.float32)
        yield from chunks((self._rows @ query).tobytes(), DOWN_CHUNK_BYTES)

    def _echo(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        bytes_down = int.from_bytes(next(requests), "little")
        for _ in requests:
            pass
        yield from chunks(bytes(bytes_down), DOWN_CHUNK_BYTES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--rows", "--dim", "--seed"):
        parser.add_argument(name, type=int, required=True)
    given = parser.parse_args()
    handler = _Peer(clustered_vectors(given.rows, given.dim, given.seed))
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler], options=LIMIT)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main()
