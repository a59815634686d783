"""A TCP proxy on loopback that cuts connections where it is told to, to see what a client makes of a bad network."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Cut = tuple[int | None, int | None]
"""After so many bytes from the client, or to it; None for no limit."""
NO_CUT: Cut = (None, None)


class FlakyProxy:
    """Forwards to ``target``; each new connection takes the next cut that it was told, if there is one."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._cuts: Iterator[Cut] = iter(())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.on_cut: Callable[[], object] = lambda: None
        """Called when a limit was reached, before the connection is closed."""
        self.bytes_up, self.bytes_down = 0, 0
        """Passed since ``cut_next``, from the client and to it."""
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        """Around all of the above: threads accept and forward while somebody tells what to cut."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, *cuts: Cut) -> None:
        """Cut the connections that are open, and the next ones as told."""
        with self._lock:
            self._cuts = iter(cuts)
            self.bytes_up = self.bytes_down = 0
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
                with self._lock:
                    self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        self.connections += 1
        up, down = next(self._cuts, NO_CUT)
        try:
            far = socket.create_connection(self._target)
        except OSError:
            _close(near)
            return
        self._open += [near, far]
        for arguments in ((near, far, up, self._goes_up), (far, near, down, self._goes_down)):
            threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _goes_up(self, source: socket.socket, count: int) -> None:
        with self._lock:
            if source in self._open:
                self.bytes_up += count

    def _goes_down(self, source: socket.socket, count: int) -> None:
        with self._lock:
            if source in self._open:
                self.bytes_down += count

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        limit: int | None,
        goes: Callable[[socket.socket, int], None],
    ) -> None:
        left = limit
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if left is not None and len(data) > left:
                    sink.sendall(data[:left])
                    self.on_cut()
                    break
                goes(source, len(data))  # before it goes: whoever has the last byte may ask at once how many there were
                sink.sendall(data)
                left = None if left is None else left - len(data)
        _close(source)
        _close(sink)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
