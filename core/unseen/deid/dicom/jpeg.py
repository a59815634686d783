"""Comments in compressed pixels: segments of JPEG, JPEG-LS and JPEG 2000 that decoders skip and that hold names.

They are filled with zeros at their length, so that every offset stays right and every decoder gives the same pixels
(ISO/IEC 10918-1 annex B, 14495-1 annex C, 15444-1 annex A). Everything else stays byte for byte.
For the device only.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from unseen.errors import ImageRefused

COMMENT: Final = 0xFE
APPLICATIONS: Final = range(0xE0, 0xF0)
NEEDED: Final = {0xE0: (b"JFIF\0", 14), 0xE8: (b"mrfx", 5), 0xEE: (b"Adobe", 12)}
"""Application segments that decoders use, at the one size that holds nothing else: aspect, HP colour, Adobe colour."""
ENCODERS: Final = re.compile(
    rb"(Created by (GDCM/)?OpenJPEG version|Kakadu-v?|(Creator: )?JasPer Version) ?[0-9.]{1,12}\0?"
)
"""What encoders call themselves: stays, so that most streams stay byte for byte."""
_STREAM: Final = re.compile(rb"\xff\xd8|\xff\x4f\xff\x51")
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""A marker within or behind entropy-coded data, where FF is always followed by 00, a restart or a bit below 80."""

START, END, SCAN = 0xD8, 0xD9, 0xDA
UNKNOWN: Final = frozenset({*range(0xF0, 0xF7), *range(0xF9, 0xFE)})
J2K_KNOWN: Final = frozenset(
    {*range(0x50, 0x54), *range(0x55, 0x5A), *range(0x5C, 0x62), 0x63, 0x64, *range(0x72, 0x7A), 0x90}
)
J2K_START, J2K_TILE, J2K_DATA, J2K_END, J2K_COMMENT = 0x4F, 0x90, 0x93, 0xD9, 0x64


def blanked(stream: bytes) -> tuple[bytes, int]:
    """The concatenated fragments with comments zeroed, and how many segments that were.

    Raises:
        ImageRefused: the stream is no JPEG of any kind, or its segments do not follow each other.
    """
    buffer = bytearray(stream)
    at = count = 0
    while at < len(buffer):
        if buffer[at : at + 2] == b"\xff\xd8":
            at, found = _jpeg(buffer, at + 2)
        elif buffer[at : at + 2] == b"\xff\x4f":
            at, found = _jpeg_2000(buffer, at + 2)
        else:  # one byte of padding between frames, or something that is not padding
            match = _STREAM.search(buffer, at)
            if at == 0:
                raise ImageRefused("the compressed pixels are no JPEG stream, so comments in them cannot be found")
            next_at = match.start() if match else len(buffer)
            found = _zero(buffer, at, next_at) if next_at - at > 1 else 0
            at = next_at
        count += found
    return (bytes(buffer) if count else stream), count


def _segment(buffer: bytearray, at: int) -> int:
    """Where the segment ends whose length stands at ``at``."""
    if at + 2 > len(buffer):
        raise ImageRefused("a JPEG segment is cut short")
    (length,) = struct.unpack_from(">H", buffer, at)
    if length < 2 or at + length > len(buffer):
        raise ImageRefused("a JPEG segment is longer than the stream")
    return int(at + length)


def _zero(buffer: bytearray, start: int, end: int) -> int:
    if not any(buffer[start:end]) or ENCODERS.fullmatch(buffer, start, end):
        return 0
    buffer[start:end] = bytes(end - start)
    return 1


def _jpeg(buffer: bytearray, at: int) -> tuple[int, int]:
    """One JPEG or JPEG-LS image from behind its start marker: where it ends, and how many segments were zeroed."""
    count = 0
    in_scan = False
    while at < len(buffer):
        if in_scan:
            match = _MARKER.search(buffer, at)
            if match is None:
                raise ImageRefused("a JPEG image does not end")
            at, in_scan = match.start(), False
        if buffer[at] != 0xFF or at + 1 >= len(buffer):
            raise ImageRefused("something other than a marker stands between JPEG segments")
        marker = buffer[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == END:
            return at + 2, count
        if marker in UNKNOWN:
            raise ImageRefused("the JPEG stream holds a segment that the standard does not know")
        end = _segment(buffer, at + 2)
        needed, size = NEEDED.get(marker, (b"", -1))
        is_needed = buffer[at + 4 : end].startswith(needed) and end - at - 4 == size
        if marker == COMMENT or (marker in APPLICATIONS and not is_needed):
            count += _zero(buffer, at + 4, end)
        at, in_scan = end, marker == SCAN
    raise ImageRefused("a JPEG image does not end")


def _jpeg_2000(buffer: bytearray, at: int) -> tuple[int, int]:
    """One JPEG 2000 code stream from behind its start marker."""
    count = 0
    tile_end: int | None = None
    while at + 1 < len(buffer):
        marker = buffer[at + 1]
        if buffer[at] != 0xFF:
            raise ImageRefused("something other than a marker stands between JPEG 2000 segments")
        if marker in {J2K_END, J2K_START}:  # some encoders leave the end marker of a frame out
            return at + (2 if marker == J2K_END else 0), count
        if marker == J2K_DATA:
            if tile_end is None or tile_end <= at or tile_end > len(buffer):
                raise ImageRefused("a tile of the JPEG 2000 stream has no plausible length")
            at = tile_end
            continue
        if marker not in J2K_KNOWN:
            raise ImageRefused("the JPEG 2000 stream holds a segment that the standard does not know")
        end = _segment(buffer, at + 2)
        if marker == J2K_COMMENT:
            count += _zero(buffer, at + 6, end)
        if marker == J2K_TILE and end - at >= 12:
            (length,) = struct.unpack_from(">I", buffer, at + 6)
            tile_end = at + int(length) if length else _next_end(buffer, end)
        at = end
    return len(buffer), count  # decoders accept a stream without its end marker


def _next_end(buffer: bytearray, at: int) -> int:
    """The end marker of a stream whose last tile says that it reaches there; packets hold nothing above FF8F."""
    at = buffer.find(b"\xff\xd9", at)
    return at if at >= 0 else len(buffer)
