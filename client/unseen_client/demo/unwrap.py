"""What a server received, taken apart: TCP bytes -> HTTP/2 streams -> gRPC messages -> protobuf fields. Demo only.

A byte string can hide from a plain search where a frame or a message boundary cuts it in two, so the search looks at
three views: the bytes as received, the messages of each stream one after the other, and the values of each field of a
stream one after the other. Nothing here knows the contract: it reads any protobuf, so a field added later is seen too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
DATA, PADDED = 0x0, 0x8
MESSAGE_HEADER_BYTES = 5
VARINT, FIXED64, RUN, FIXED32 = 0, 1, 2, 5
DEEPEST = 8
"""The contract nests far less; bytes that happen to read as messages stop here."""


def views(received: bytes) -> dict[str, bytes]:
    """Every view of what one connection carried to the server, by name. Raises ValueError for what is not gRPC."""
    found = {"socket": received}
    for stream, body in streams(received).items():
        parts = list(messages(body))
        found[f"stream {stream}"] = b"".join(parts)
        values: defaultdict[tuple[int, ...], bytearray] = defaultdict(bytearray)
        for part in parts:
            _gather(part, (), values)
        found |= {f"stream {stream} field {'.'.join(map(str, path))}": bytes(run) for path, run in values.items()}
    return found


def streams(received: bytes) -> dict[int, bytes]:
    """The DATA of each HTTP/2 stream (RFC 9113, 4.1 and 6.1); a frame cut at the end counts as far as it goes."""
    if not received.startswith(PREFACE):
        raise ValueError("these bytes are no HTTP/2 connection in the clear: the search would be blind")
    bodies: defaultdict[int, bytearray] = defaultdict(bytearray)
    at = len(PREFACE)
    while at + FRAME_HEADER_BYTES <= len(received):
        header = received[at : at + FRAME_HEADER_BYTES]
        length, kind, flags = int.from_bytes(header[:3], "big"), header[3], header[4]
        stream = int.from_bytes(header[5:], "big") & 0x7FFFFFFF
        payload = received[at + FRAME_HEADER_BYTES : at + FRAME_HEADER_BYTES + length]
        at += FRAME_HEADER_BYTES + length
        if kind == DATA and payload:
            bodies[stream] += payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
    return {stream: bytes(body) for stream, body in bodies.items()}


def messages(body: bytes) -> Iterator[bytes]:
    """The gRPC messages of a stream; refuses compressed ones, in which a search would be blind."""
    at = 0
    while at + MESSAGE_HEADER_BYTES <= len(body):
        compressed, length = body[at], int.from_bytes(body[at + 1 : at + MESSAGE_HEADER_BYTES], "big")
        if compressed:
            raise ValueError("a message travelled compressed: the search would be blind")
        yield body[at + MESSAGE_HEADER_BYTES : at + MESSAGE_HEADER_BYTES + length]
        at += MESSAGE_HEADER_BYTES + length


def _gather(message: bytes, path: tuple[int, ...], values: defaultdict[tuple[int, ...], bytearray]) -> None:
    """Append the value of every run of bytes in the message, and of those inside it, to its path's values."""
    for number, value in _fields(message) or []:
        inner = (*path, number)
        values[inner] += value
        if len(inner) < DEEPEST:
            _gather(value, inner, values)


def _fields(message: bytes) -> list[tuple[int, bytes]] | None:
    """Number and value of each length-delimited field; None when the bytes do not read as a message to their end."""
    found, at = [], 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if not number:
            return None
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind in {FIXED64, FIXED32}:
            at += 8 if kind == FIXED64 else 4
        elif kind == RUN:
            length, at = _varint(message, at)
            found.append((number, message[at : at + length]))
            at += length
        else:
            return None
    return found if at == len(message) else None


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends; past the end of the message when it is cut."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return 0, len(message) + 1
