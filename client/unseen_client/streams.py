"""Receiving every message of a stream that has no mark of its end but gRPC's own."""

from __future__ import annotations

from typing import Generic, TypeVar

from google.protobuf.message import Message

from unseen.errors import LimitExceeded

MOST_BYTES = 1 << 30
"""What a device takes of one answer before it gives up on the server."""

AnyMessage = TypeVar("AnyMessage", bound=Message)


class Collected(Generic[AnyMessage]):
    """Keeps the messages in memory."""

    def __init__(self, kind: type[AnyMessage]) -> None:
        self._kind = kind
        self._bytes = 0
        self.messages: list[AnyMessage] = []

    def take(self, reply: Message) -> None:
        if not isinstance(reply, self._kind):
            raise TypeError(f"got {type(reply).__name__}, expected {self._kind.__name__}")
        self._bytes += reply.ByteSize()
        if self._bytes > MOST_BYTES:
            raise LimitExceeded(f"the server's answer is larger than {MOST_BYTES} bytes; ask for less at once")
        self.messages.append(reply)

    def finish(self) -> None:
        """gRPC ends a stream well only when all of it came."""

    def close(self) -> None:
        self.messages.clear()
