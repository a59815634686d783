"""Elements to a Part 10 file: a zeroed preamble, file meta made anew, elements in order, every value of even length.

Nothing of the input's preamble or file meta is taken over: its application titles name hosts. PS3.10 section 7.1.
For the device only.
"""

from __future__ import annotations

import struct
from typing import Final

from unseen.deid.dicom.element import EXPLICIT_BIG, IMPLICIT_LITTLE, LONG_VRS, DataSet, Element

IMPLEMENTATION_CLASS_UID: Final = b"2.25.196128309414226347918372250011953426811"
"""Names this writer; the same in every file of every site."""
IMPLEMENTATION_VERSION: Final = b"UNSEEN_DEID_1"

_ZERO_PADDED: Final = frozenset({"UI", "OB", "OW", "OD", "OF", "OL", "OV", "UN"})


def padded(value: bytes, vr: str) -> bytes:
    """The value at even length: with a zero byte where the VR is binary or a UID, else with a space (PS3.5 6.2)."""
    return value + (b"\0" if vr in _ZERO_PADDED else b" ") if len(value) % 2 else value


def write_part10(dataset: DataSet, transfer_syntax: str, sop_class: bytes, sop_instance: bytes) -> bytes:
    """The bytes of a whole file. ``dataset`` holds values encoded as ``transfer_syntax`` says."""
    meta = {
        0x00020001: Element(0x00020001, "OB", b"\0\1"),
        0x00020002: Element(0x00020002, "UI", sop_class),
        0x00020003: Element(0x00020003, "UI", sop_instance),
        0x00020010: Element(0x00020010, "UI", transfer_syntax.encode()),
        0x00020012: Element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
        0x00020013: Element(0x00020013, "SH", IMPLEMENTATION_VERSION),
    }
    body = _encoded(meta, implicit=False, order="<")
    group_length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body))
    order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
    implicit = transfer_syntax == IMPLICIT_LITTLE
    content = (part for tag in sorted(dataset) for part in _parts(dataset[tag], implicit, order))
    return b"".join([bytes(128), b"DICM", group_length, body, *content])


def _encoded(dataset: DataSet, implicit: bool, order: str) -> bytes:
    return b"".join(part for tag in sorted(dataset) for part in _parts(dataset[tag], implicit, order))


def _parts(element: Element, implicit: bool, order: str) -> tuple[bytes, ...]:
    if element.encapsulated:
        header = _header(element, 0xFFFFFFFF, implicit, order)
        return header, element.value, struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    if element.items is None:
        value = padded(element.value, element.vr)
        return _header(element, len(value), implicit, order), value
    items = [_encoded(item, implicit, order) for item in element.items]
    content = b"".join(struct.pack(order + "HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return _header(element, len(content), implicit, order), content


def _header(element: Element, length: int, implicit: bool, order: str) -> bytes:
    group, number = element.tag >> 16, element.tag & 0xFFFF
    if implicit:
        return struct.pack(order + "HHI", group, number, length)
    vr = element.vr.encode("ascii")
    if element.vr in LONG_VRS:
        return struct.pack(order + "HH2sHI", group, number, vr, 0, length)
    return struct.pack(order + "HH2sH", group, number, vr, length)
