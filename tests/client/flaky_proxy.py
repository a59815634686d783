"""A TCP proxy on loopback that cuts connections where a test says, to see what a client makes of a bad network."""

from __future__ import annotations

import contextlib
import socket
import threading


class FlakyProxy:
    """Forwards to ``target``; each new connection takes the next cut from ``cuts`` and is never cut once they are used.

    A cut (up, down) closes the connection after so many bytes from the client or to it; None for no limit.
    """

    def __init__(self, target: str, cuts=()) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._cuts = iter(cuts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.on_cut = lambda: None
        """Called when a limit was reached, before the connection is closed."""
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, *cuts) -> None:
        """Cut the connections that are open, and the next ones as told."""
        self._cuts = iter(cuts)
        for one in self._open:
            _close(one)
        self._open.clear()

    def close(self) -> None:
        _close(self._listener)
        self.cut_next()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                up, down = next(self._cuts, (None, None))
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    _close(near)
                    continue
                self._open += [near, far]
                threading.Thread(target=_pump, args=(near, far, up, self), daemon=True).start()
                threading.Thread(target=_pump, args=(far, near, down, self), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, limit: int | None, proxy: FlakyProxy) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if limit is not None and passed + len(data) > limit:
                sink.sendall(data[: limit - passed])
                proxy.on_cut()
                break
            sink.sendall(data)
            passed += len(data)
    _close(source)
    _close(sink)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
