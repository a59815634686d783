"""Is there room for an identifier in this value? The rules of ``data/retained.tsv``, one function each.

A rule returns the bytes to write, or None when the value does not pass. It never repairs a value by guessing.
For the device only.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from unseen.deid.dicom.dictionary import is_registered_uid, vrs
from unseen.deid.dicom.element import Element

NUMBER: Final = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
MOST_NUMBER_CHARACTERS: Final = 26
"""The standard says 16; scanners write a few more, an identifier of 26 digits fails the bound on its size anyway."""
LEAST_MAGNITUDE: Final = 1e-20
"""Eight characters read as a binary number are below it, or beyond every bound."""
MOST_TABLE_BYTES: Final = 1 << 23
"""An offset table of a million frames; longer ones would need gigabytes as numbers."""
TEXT_BYTES: Final = 8
"""That many bytes, all of them printable, are taken for text and not for numbers."""

CHARSET: Final = re.compile(rb"(ISO_IR \d{1,3}|ISO 2022 IR \d{1,3}|GB18030|GBK)?")
_BINARY: Final = {"FL": "f", "FD": "d", "SL": "i", "SS": "h", "UL": "I", "US": "H", "SV": "q", "UV": "Q", "OV": "Q"}
_VALID: Final = {
    "AS": re.compile(rb"(\d{3}[DWMY])?"),
    "CS": re.compile(rb"[A-Z0-9 _]{0,16}(\\[A-Z0-9 _]{0,16})*"),
    "UI": re.compile(rb"[0-9.]{0,64}(\\[0-9.]{0,64})*"),
}


def passing(element: Element, rule: str, argument: str, otherwise: str, order: str) -> bytes | None:
    """The value to write under a rule that looks at the value alone; None when it does not pass."""
    if not has_standard_vr(element, order):
        return None
    return _RULES[rule](element, argument, otherwise, order)


def has_standard_vr(element: Element, order: str) -> bool:
    """Whether the element has a VR that the standard allows for its tag; UN passes where its bytes can be read."""
    return element.vr in vrs(element.tag) or (element.vr == "UN" and order == "<")


def standard_vr(element: Element) -> str:
    """The VR to write: the element's where the standard allows it, else the standard's first."""
    known = vrs(element.tag)
    return element.vr if element.vr in known or not known else known[0]


def is_valid(element: Element) -> bool:
    """Whether a value that an option keeps has the form of its VR, so that no text hides in a number or a date."""
    vr = standard_vr(element)
    if vr in {"DS", "IS"}:
        return _numbers(element.value, float("inf"))
    pattern = _VALID.get(vr)
    return pattern is None or bool(pattern.fullmatch(element.value.rstrip(b" \0")))


def binary_numbers(value: bytes, vr: str, order: str) -> tuple[float, ...] | None:
    """The numbers of a binary VR; None when the length does not fit."""
    code = _BINARY[vr]
    count, rest = divmod(len(value), struct.calcsize(code))
    return None if rest or len(value) > MOST_TABLE_BYTES else struct.unpack(f"{order}{count}{code}", value)


def _terms(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    words = {word.replace("~", " ").encode() for word in argument.split()} | {b""}
    values = element.value.strip(b" \0").split(b"\\")
    if all(value.strip(b" ") in words for value in values):
        return element.value
    if len(values) == 1 or not otherwise.startswith("D:"):
        return None
    return b"\\".join(value if value.strip(b" ") in words else otherwise[2:].encode() for value in values)


def _pattern(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    values = element.value.strip(b" \0").split(b"\\")
    return element.value if all(re.fullmatch(argument.encode(), value) for value in values) else None


def is_number(value: bytes, vr: str, most: float, order: str) -> bool:
    """Whether a value holds numbers of at most some magnitude, and no text in the form of numbers."""
    if vr not in _BINARY:
        return _numbers(value, most)
    if len(value) >= TEXT_BYTES and all(0x20 <= byte < 0x7F for byte in value):
        return False
    numbers = binary_numbers(value, vr, order)
    return numbers is not None and all(x == 0 or LEAST_MAGNITUDE < abs(x) <= most for x in numbers)


def _number(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    return element.value if is_number(element.value, standard_vr(element), float(argument), order) else None


def _numbers(value: bytes, most: float) -> bool:
    """Whether a DS or IS value holds numbers and nothing else."""
    for part in value.strip(b" \0").split(b"\\"):
        text = part.strip(b" ")
        if text and not (len(text) <= MOST_NUMBER_CHARACTERS and NUMBER.fullmatch(text) and abs(float(text)) <= most):
            return False
    return True


def _uid(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    uids = element.value.strip(b" \0").decode("ascii", "replace").split("\\")
    return element.value if all(is_registered_uid(uid) for uid in uids) else None


def _tags(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    numbers = binary_numbers(element.value, "US", order)
    if numbers is None or len(numbers) % 2:
        return None
    tags = [int(group) << 16 | int(number) for group, number in zip(numbers[::2], numbers[1::2], strict=True)]
    return element.value if all(vrs(tag) for tag in tags) else None


def _charset(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    terms = element.value.strip(b" \0").split(b"\\")
    return element.value if all(CHARSET.fullmatch(term.strip(b" ")) for term in terms) else None


def _text(element: Element, argument: str, otherwise: str, order: str) -> bytes | None:
    return element.value


_RULES: Final[dict[str, Callable[[Element, str, str, str], bytes | None]]] = {
    "terms": _terms,
    "pattern": _pattern,
    "number": _number,
    "uid": _uid,
    "tags": _tags,
    "charset": _charset,
    "text": _text,
}
