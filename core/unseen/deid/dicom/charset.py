"""Bytes of text values as text: by the character sets that the object names, or not at all (PS3.5 section 6.1).

For the device only. A text that is read by guessing has names in it that nobody finds, so whatever does not decode is
refused.
"""

from __future__ import annotations

import warnings
from typing import Final

from pydicom.charset import decode_bytes, python_encoding
from pydicom.config import strict_reading

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet
from unseen.errors import ImageRefused

ESCAPE: Final = b"\x1b"
_RESET: Final = {0x09, 0x0A, 0x0C, 0x0D, 0x3D, 0x5C, 0x5E}
"""Tab, line and page ends, = and ^ and the backslash: behind them the first character set holds again (6.1.2.5.3)."""
_PLAIN: Final = {"": "ascii", "ISO_IR 6": "ascii", "ISO 2022 IR 6": "ascii", "ISO_IR 100": "cp1252"}
"""Windows-1252 is Latin-1 with letters where that has none, and is what is meant by texts that use them."""

_WESTERN: Final = frozenset({"ISO_IR 100", "ISO 2022 IR 100", "ISO_IR 148", "ISO 2022 IR 148"})
"""Of these every byte is a letter or a sign, and UTF-8 reads as two or more that no word has: MÃ¼ller."""

Charsets = tuple[str, ...]
NO_CHARSETS: Final[Charsets] = ("",)


def charsets_of(dataset: DataSet, inherited: Charsets = NO_CHARSETS) -> Charsets:
    """The character sets that hold in a data set or item; ImageRefused for one that is not known."""
    element = dataset.get(tag_of("SpecificCharacterSet"))
    if element is None:
        return inherited
    named = tuple(part.strip() for part in element.value.strip(b" \0").decode("ascii", "replace").split("\\"))
    if not all(name in python_encoding for name in named):
        raise ImageRefused("the object names a character set that is none of the standard's; mend that first")
    return named


def decoded(value: bytes, charsets: Charsets) -> str:
    """The text of a value without its padding; ImageRefused when the bytes are not of these character sets."""
    try:
        if charsets[0] in _WESTERN and not value.isascii() and _is_utf_8(value):
            raise ImageRefused("the text is in UTF-8, and the object names another character set; mend that first")
        if ESCAPE not in value:
            return value.decode(_PLAIN.get(charsets[0]) or python_encoding[charsets[0]]).strip(" \0")
        with strict_reading(), warnings.catch_warnings():
            warnings.simplefilter("error")
            return decode_bytes(value, [python_encoding[name] for name in charsets], _RESET).strip(" \0")
    except (UnicodeError, LookupError, ValueError, UserWarning):
        raise ImageRefused("the text is not in the character set that the object names; mend that first") from None


def _is_utf_8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
