"""Bytes to elements, with a bound on everything: depth, count, inflated size. What does not parse is refused.

Written out instead of handed to a library, because the input is hostile: pydicom inflates without a bound and reads
nested sequences without one (its tests' files are read by both here and compared). PS3.5 section 7, PS3.10 section 7.

For the device only. Holds the object for the length of a call. Errors name places, never values.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from unseen.deid.dicom.dictionary import keyword, vrs
from unseen.deid.dicom.element import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    DataSet,
    Element,
    Items,
    Part10,
)
from unseen.errors import ImageRefused

MOST_FILE_BYTES: Final = 1 << 29
"""512 MiB: above it a file does not fit the memory of the child that reads it."""
MOST_INFLATED_BYTES: Final = 1 << 28
"""256 MiB out of a deflated data set; a bomb of a megabyte would ask for gigabytes."""
MOST_DEPTH: Final = 16
"""Sequences within sequences. Real objects stay below 8."""
MOST_ELEMENTS: Final = 500_000
"""Elements and items together: an enhanced object of 5,000 frames has about 300,000."""

UNDEFINED: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
TRANSFER_SYNTAX_UID: Final = 0x00020010

REFUSED_SYNTAXES: Final = {
    **{f"1.2.840.10008.1.2.4.{n}": "pixels that lie somewhere else (JPIP)" for n in (94, 95, 204, 205)},
    **{f"1.2.840.10008.1.2.4.{n}": "video, whose stream has room for text" for n in range(100, 109)},
    **{f"1.2.840.10008.1.2.4.{n}": "JPEG XL, whose boxes have room for text" for n in (110, 111, 112)},
    "1.2.840.10008.1.2.8.1": "deflated frames, which cannot be inflated within a bound here",
}


def read_part10(data: bytes) -> Part10:
    """Parse a DICOM file.

    Raises:
        ImageRefused: not a Part 10 file, a transfer syntax that is not handled, cut short, nested too deep, too large.
    """
    if len(data) > MOST_FILE_BYTES:
        raise ImageRefused(f"got {len(data)} bytes, expected at most {MOST_FILE_BYTES}: split the object")
    if data[128:132] != b"DICM":
        raise ImageRefused("this is no DICOM file: the letters DICM do not stand after the preamble of 128 bytes")
    reader = _Reader(data)
    meta = reader.meta(132)
    element = meta.get(TRANSFER_SYNTAX_UID)
    if element is None:
        raise ImageRefused(
            "the file meta information names no transfer syntax, so the rest cannot be read with certainty"
        )
    syntax = element.value.rstrip(b"\0 ").decode("ascii", "replace")
    _check_syntax(syntax)
    if syntax == DEFLATED:
        return Part10(meta, _Reader(_inflate(data[reader.at :])).dataset(EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    return Part10(meta, reader.dataset(syntax), syntax)


def _check_syntax(syntax: str) -> None:
    if reason := REFUSED_SYNTAXES.get(syntax):
        raise ImageRefused(f"the transfer syntax {syntax} is {reason}; convert the object first")
    compressed = syntax.startswith("1.2.840.10008.1.2.4.") and syntax[20:].isdigit()
    if (
        syntax not in {IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG, "1.2.840.10008.1.2.5"}
        and not compressed
    ):
        raise ImageRefused(
            "the transfer syntax is none that is handled here; convert the object to Explicit VR Little Endian"
        )


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, MOST_INFLATED_BYTES)
    except zlib.error as error:
        raise ImageRefused("the deflated data set does not inflate") from error
    if inflater.unconsumed_tail:
        raise ImageRefused(f"the deflated data set inflates to more than {MOST_INFLATED_BYTES} bytes")
    return inflated


def _name(tag: int) -> str:
    """A tag for a message: its keyword or nothing, since where reading went astray a tag is a piece of a value."""
    return keyword(tag) or "an element that the standard does not know"


class _Reader:
    """A cursor over one buffer."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._count = 0

    def meta(self, start: int) -> DataSet:
        """The elements of group 0002, always explicit VR little endian; leaves the cursor behind them."""
        self.at = start
        elements: DataSet = {}
        while self.at + 8 <= len(self.data) and self.data[self.at : self.at + 2] == b"\x02\0":
            element = self._element(implicit=False, order="<", depth=0)
            elements[element.tag] = element
        return elements

    def dataset(self, syntax: str) -> DataSet:
        """Everything from the cursor to the end of the buffer."""
        order = ">" if syntax == EXPLICIT_BIG else "<"
        return self._elements(len(self.data), syntax == IMPLICIT_LITTLE, order, depth=0)

    def _elements(self, end: int, implicit: bool, order: str, depth: int) -> DataSet:
        """Elements up to ``end``, or up to the item delimiter when inside an item of undefined length."""
        elements: DataSet = {}
        # Fewer than 8 bytes cannot be an element: padding behind the object, which is dropped.
        while self.at + 8 <= end:
            if depth and self._tag(order) == ITEM_END:
                self.at += 8
                return elements
            element = self._element(implicit, order, depth)
            elements[element.tag] = element
        if self.at > end:
            raise ImageRefused("an element reaches beyond the item that holds it")
        self.at = end
        return elements

    def _counted(self) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise ImageRefused(f"more than {MOST_ELEMENTS} elements: split the object")

    def _tag(self, order: str) -> int:
        group, number = struct.unpack_from(order + "HH", self.data, self.at)
        return int(group) << 16 | int(number)

    def _element(self, implicit: bool, order: str, depth: int) -> Element:
        self._counted()
        tag = self._tag(order)
        vr, length = self._header(tag, implicit, order)
        if tag >> 16 == 0xFFFE:
            raise ImageRefused("an item or a delimiter stands where an element should")
        if length == UNDEFINED:
            return self._undefined(tag, vr, implicit, order, depth)
        if self.at + length > len(self.data):
            raise ImageRefused(f"cut short: {_name(tag)} is longer than the rest of the file")
        if vr == "SQ":
            return Element(tag, vr, items=self._items(self.at + length, implicit, order, depth + 1))
        value = self.data[self.at : self.at + length]
        self.at += length
        return Element(tag, vr, value)

    def _header(self, tag: int, implicit: bool, order: str) -> tuple[str, int]:
        """The VR and length, with the cursor moved behind them."""
        if implicit or tag >> 16 == 0xFFFE:
            (length,) = struct.unpack_from(order + "I", self.data, self.at + 4)
            self.at += 8
            known = vrs(tag)
            return (known[0] if known else "UN"), int(length)
        vr = self.data[self.at + 4 : self.at + 6].decode("ascii", "replace")
        if vr in SHORT_VRS:
            (length,) = struct.unpack_from(order + "H", self.data, self.at + 6)
            self.at += 8
        elif vr in LONG_VRS and self.at + 12 <= len(self.data):
            (length,) = struct.unpack_from(order + "I", self.data, self.at + 8)
            self.at += 12
        else:
            raise ImageRefused(f"{_name(tag)} has no value representation of the standard")
        return vr, int(length)

    def _undefined(self, tag: int, vr: str, implicit: bool, order: str, depth: int) -> Element:
        if tag == PIXEL_DATA:
            return self._fragments(tag, vr, depth)
        if vr == "UN" and not implicit:  # PS3.5 section 6.2.2 note 2: implicit VR little endian within
            return Element(tag, "SQ", items=self._items(None, implicit=True, order="<", depth=depth + 1))
        if vr not in {"SQ", "UN"}:
            raise ImageRefused(f"{_name(tag)} has no length and is no sequence")
        return Element(tag, "SQ", items=self._items(None, implicit, order, depth + 1))

    def _items(self, end: int | None, implicit: bool, order: str, depth: int) -> Items:
        """The items up to ``end``, or up to the sequence delimiter when there is no end."""
        if depth > MOST_DEPTH:
            raise ImageRefused(f"sequences are nested deeper than {MOST_DEPTH}")
        items: list[DataSet] = []
        while end is None or self.at < end:
            tag, length = self._item_header(order)
            if tag == SEQUENCE_END and end is None:
                return tuple(items)
            if tag == SEQUENCE_END:
                break
            if tag != ITEM:
                raise ImageRefused("something other than an item stands in a sequence")
            limit = len(self.data) if length == UNDEFINED else self.at + length
            if limit > len(self.data):
                raise ImageRefused("cut short: an item is longer than the rest of the file")
            self._counted()
            items.append(self._elements(limit, implicit, order, depth))
        if end is not None and self.at > end:
            raise ImageRefused("an item reaches beyond the sequence that holds it")
        self.at = self.at if end is None else end
        return tuple(items)

    def _item_header(self, order: str) -> tuple[int, int]:
        if self.at + 8 > len(self.data):
            raise ImageRefused("cut short: the file ends within a sequence")
        tag = self._tag(order)
        (length,) = struct.unpack_from(order + "I", self.data, self.at + 4)
        self.at += 8
        return tag, int(length)

    def _fragments(self, tag: int, vr: str, depth: int) -> Element:
        """Encapsulated pixels (PS3.5 section A.4): items of bytes up to the sequence delimiter."""
        start = self.at
        while True:
            self._counted()
            found, length = self._item_header("<")
            if found == SEQUENCE_END:
                return Element(tag, vr, self.data[start : self.at - 8], encapsulated=depth == 0)
            if found != ITEM or self.at + length > len(self.data):
                raise ImageRefused("cut short or broken: the fragments of the pixel data do not follow each other")
            self.at += length
