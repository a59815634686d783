"""Pixels pass byte for byte; what stands around and behind them does not.

Checked: native pixels are as long as rows, columns, samples and frames say, and nothing follows them. Compressed ones
are fragments whose comments are zeroed. Text burned into the picture itself is not looked for here.
For the device only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import NATIVE, DataSet, Element
from unseen.deid.dicom.jpeg import blanked
from unseen.deid.dicom.values import binary_numbers
from unseen.errors import ImageRefused

RLE: Final = "1.2.840.10008.1.2.5"
RLE_HEADER_BYTES: Final = 64
MOST_RLE_SEGMENTS: Final = 15
MOST_FRAME_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class CheckedPixels:
    """The element to write and what was taken out of it."""

    element: Element
    comments_blanked: int
    trailing_bytes: int


def checked_pixels(element: Element, dataset: DataSet, transfer_syntax: str) -> CheckedPixels:
    """Pixel data with its surroundings checked.

    Raises:
        ImageRefused: shorter than the picture, or compressed where the transfer syntax says native, or the reverse.
    """
    order = ">" if transfer_syntax.endswith(".2.2") else "<"
    if element.items is not None or element.encapsulated == (transfer_syntax in NATIVE):
        raise ImageRefused("the pixel data is not encoded as the transfer syntax says")
    if element.encapsulated:
        value, blanked_count = _fragments(element.value, transfer_syntax)
        return CheckedPixels(Element(element.tag, "OB", value, encapsulated=True), blanked_count, 0)
    size = expected_bytes(dataset, order)
    if len(element.value) < size:
        raise ImageRefused(f"got {len(element.value)} bytes of pixels, expected {size}: cut short")
    excess = len(element.value) - size
    if excess >= max(size // frame_count(dataset), 2):
        raise ImageRefused("the pixel data holds at least one frame more than the number of frames says")
    # 8-bit pixels written as big endian words have their last two bytes swapped, the padding among them.
    padding_at = -2 if order == ">" and element.vr == "OW" else -1
    keeps_padding = excess == 1 and size % 2 and element.value[padding_at] == 0
    trailing = 0 if keeps_padding else excess
    value = element.value[:size] if trailing else element.value
    return CheckedPixels(Element(element.tag, element.vr, value), 0, trailing)


def expected_bytes(dataset: DataSet, order: str) -> int:
    """How many bytes native pixels have: PS3.5 section 8.1.1, with 4:2:2 chrominance at two samples a pixel."""
    rows, columns, bits = (_us(dataset, name, order) for name in ("Rows", "Columns", "BitsAllocated"))
    samples = _us(dataset, "SamplesPerPixel", order, default=1)
    photometric = dataset.get(tag_of("PhotometricInterpretation"))
    if photometric and photometric.value.strip(b" \0") in {b"YBR_FULL_422", b"YBR_PARTIAL_422"}:
        samples = 2
    return (rows * columns * samples * frame_count(dataset) * bits + 7) // 8


def frame_count(dataset: DataSet) -> int:
    """Number of frames, 1 where the object does not say or says no number; the pixels must then be those of one."""
    element = dataset.get(tag_of("NumberOfFrames"))
    text = element.value.strip(b" \0") if element else b""
    return max(int(text), 1) if text.isdigit() and len(text) <= MOST_FRAME_DIGITS else 1


def _us(dataset: DataSet, name: str, order: str, default: int | None = None) -> int:
    element = dataset.get(tag_of(name))
    numbers = binary_numbers(element.value, "US", order) if element else None
    if numbers:
        return int(numbers[0])
    if default is None:
        raise ImageRefused(f"the object has pixels but no {name}")
    return default


def _fragments(value: bytes, transfer_syntax: str) -> tuple[bytes, int]:
    """Encapsulated pixels with comments zeroed and an offset table that points into the fragments or is empty."""
    lengths, at = [], 0
    while at + 8 <= len(value):
        (length,) = struct.unpack_from("<I", value, at + 4)
        lengths.append(int(length))
        at += 8 + length
    if len(lengths) < 2:
        raise ImageRefused("the compressed pixel data holds no frame")
    view, pieces, at = memoryview(value), [], 0
    for length in lengths:
        pieces.append(view[at + 8 : at + 8 + length])
        at += 8 + length
    table, stream = bytes(pieces[0]), b"".join(pieces[1:])
    checked = _offset_table(table, at)
    cleaned, count = _rle(pieces[1:]) if transfer_syntax == RLE else blanked(stream)
    if cleaned is stream and checked is table:
        return value, 0
    return _joined(checked, cleaned, lengths[1:]), count + (checked is not table)


def _offset_table(table: bytes, size: int) -> bytes:
    """The basic offset table, or an empty one when it is not a rising list of offsets (PS3.5 section A.4)."""
    offsets = binary_numbers(table, "UL", "<")
    if offsets is None or (offsets and offsets[0] != 0) or any(offset >= size for offset in offsets):
        return b""
    return table if all(a < b for a, b in pairwise(offsets)) else b""


def _rle(fragments: list[memoryview]) -> tuple[bytes, int]:
    """RLE frames with the unused part of each header zeroed (PS3.5 section G.3.1)."""
    parts: list[bytes | memoryview] = []
    count = 0
    for fragment in fragments:
        if len(fragment) < RLE_HEADER_BYTES or fragment[0] > MOST_RLE_SEGMENTS:
            raise ImageRefused("a frame of run-length encoded pixels has no header")
        used = 4 + 4 * fragment[0]
        count += any(fragment[used:RLE_HEADER_BYTES])
        parts += [fragment[:used], bytes(RLE_HEADER_BYTES - used), fragment[RLE_HEADER_BYTES:]]
    return b"".join(parts), count


def _joined(table: bytes, stream: bytes, lengths: list[int]) -> bytes:
    parts, at = [struct.pack("<HHI", 0xFFFE, 0xE000, len(table)), table], 0
    for length in lengths:
        parts += [struct.pack("<HHI", 0xFFFE, 0xE000, length), stream[at : at + length]]
        at += length
    return b"".join(parts)
