"""Messages as protobuf writes them, byte by byte, and several in one row of bytes.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from unseen.errors import MalformedMessage

AnyMessage = TypeVar("AnyMessage", bound=Message)


def varint(number: int) -> bytes:
    """A number of any size."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def tag(number: int, wire_type: int) -> bytes:
    """What a field begins with."""
    return varint(number << 3 | wire_type)


def parsed(kind: type[AnyMessage], data: bytes) -> AnyMessage:
    """As gRPC or the server's boundary parses it; MalformedMessage."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise MalformedMessage("no message") from None


def in_a_row(*messages: Message) -> bytes:
    """Each behind its length in two bytes."""
    parts = [message.SerializeToString() for message in messages]
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)


def each_in_a_row(kind: type[AnyMessage], data: bytes) -> Iterator[AnyMessage]:
    """Read them again, one by one, as they are asked for; MalformedMessage."""
    while data:
        length = int.from_bytes(data[:2], "little")
        yield parsed(kind, data[2 : 2 + length])
        data = data[2 + length :]
