"""A witness on the wire: forwards TCP on loopback, counts bytes each way, keeps all that went to the server.

For the demo and its tests. What it keeps is what the server's socket received, byte for byte; without TLS it reads as
plainly here as it does there.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from types import TracebackType

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Traffic:
    """Bytes that crossed the socket so far."""

    up: int
    """Client to server."""
    down: int
    """Server to client."""

    def __sub__(self, earlier: Traffic) -> Traffic:
        return Traffic(self.up - earlier.up, self.down - earlier.down)


class RecordingProxy:
    """Stands between clients and the server at ``host``:``port``; ``address`` is where clients connect instead."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._lock = threading.Lock()
        self._received: list[bytearray] = []
        self._down = 0
        self._sockets: set[socket.socket] = set()
        self._pumps: list[threading.Thread] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.address = f"{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, name="unseen-demo-proxy", daemon=True)
        self._accepting.start()

    def traffic(self) -> Traffic:
        """What crossed so far, over all connections."""
        with self._lock:
            return Traffic(sum(len(received) for received in self._received), self._down)

    def received(self) -> list[bytes]:
        """What the server received so far, one run of bytes per connection."""
        with self._lock:
            return [bytes(received) for received in self._received]

    def close(self) -> None:
        """Cut every connection and stop every thread."""
        _cut(self._listener)
        self._accepting.join()
        with self._lock:
            sockets, pumps = list(self._sockets), list(self._pumps)
        for end in sockets:
            _cut(end)
        for pump in pumps:
            pump.join()

    def __enter__(self) -> RecordingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the listener was closed
                return
            try:
                server = socket.create_connection(self._server, CONNECT_TIMEOUT_S)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            record = bytearray()
            with self._lock:
                self._received.append(record)
                self._sockets |= {client, server}
                for ends in ((client, server, record), (server, client, None)):
                    pump = threading.Thread(target=self._pump, args=ends, name="unseen-demo-pump", daemon=True)
                    self._pumps.append(pump)
                    pump.start()

    def _pump(self, source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
        with contextlib.suppress(OSError):  # either end may go away at any time
            while data := source.recv(CHUNK_BYTES):
                with self._lock:
                    if record is None:
                        self._down += len(data)
                    else:
                        record += data
                sink.sendall(data)
        _cut(sink)
        _cut(source)


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
