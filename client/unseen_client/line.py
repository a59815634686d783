"""The blocking client's connection: a channel that is replaced when it broke, and closed when its last call is over.

gRPC reconnects by itself, but its timers run only while some call waits; between our tries none does, and seconds pass.
A new channel connects at once, and how often is decided in ``retry``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

MOST_CLOSING_S = 3.0
"""Closing takes milliseconds; longer means that it never ends."""


class Line:
    """One server's channel, shared by the threads of a client."""

    def __init__(self, open_channel: Callable[[], grpc.Channel]) -> None:
        self._open_channel = open_channel
        self._lock = threading.Lock()
        self._channel = open_channel()
        self._calls: dict[grpc.Channel, int] = {self._channel: 0}

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """The channel for one call; one that was replaced meanwhile is closed after its last call."""
        with self._lock:
            channel = self._channel
            self._calls[channel] = self._calls.get(channel, 0) + 1
        try:
            yield channel
        finally:
            with self._lock:
                self._calls[channel] -= 1
                over = self._calls[channel] == 0 and channel is not self._channel
                if over:
                    del self._calls[channel]
            if over:
                _hang_up(channel)

    def broke(self, channel: grpc.Channel) -> None:
        """Use a new channel from now on, unless another thread has seen to it already."""
        with self._lock:
            if channel is self._channel:
                self._channel = self._open_channel()

    def close(self) -> None:
        """Close every channel; calls under way end with an error."""
        with self._lock:
            for channel in {self._channel, *self._calls}:
                _hang_up(channel)


def _hang_up(channel: grpc.Channel) -> None:
    """Close a channel, or leave it to the end of the process when gRPC does not come back.

    A signal that raises in the main thread just after gRPC made a call, and before it started the thread that listens
    for the call's end, leaves a call that nobody ends: ``close`` would wait for it for ever (seen with 1.76).
    """
    closing = threading.Thread(target=channel.close, name="unseen-hang-up", daemon=True)
    closing.start()
    closing.join(MOST_CLOSING_S)
