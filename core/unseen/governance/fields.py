"""Taking a document apart: every field by name and kind, and nothing may be left over.

Errors name the document and the field, never what stood in it.
"""

from __future__ import annotations

import re
from typing import Any

from unseen.errors import InvalidDocument, MalformedMessage
from unseen.governance.moments import moment_seconds

MOST_TEXT = 2000
"""Characters of a sentence in a document: a purpose explained, an address."""
MOST_ITEMS = 64
"""Entries of a list: purposes, categories, recipients. More of them nobody reads."""

_HEX = re.compile(r"[0-9a-f]+")
_PLAIN = re.compile("[^\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*")
"""No control characters and none that turn the direction of writing: documents are shown on terminals."""


def is_plain(text: str) -> bool:
    """Whether text may be shown on a terminal: MOST_TEXT characters at most, on one line."""
    return len(text) <= MOST_TEXT and _PLAIN.fullmatch(text) is not None


def require_plain(text: str, what: str) -> str:
    """Pass text of a message through that may be shown; raises MalformedMessage, which says ``what`` it is."""
    if not is_plain(text):
        raise MalformedMessage(f"{what} is not text of at most {MOST_TEXT} characters on one line")
    return text


class Fields:
    """The fields of one JSON object, each taken once."""

    def __init__(self, document: object, what: str) -> None:
        if not isinstance(document, dict):
            raise InvalidDocument(f"{what} is a JSON object; got {type(document).__name__}")
        self._left: dict[str, Any] = dict(document)
        self._what = what

    def end(self) -> None:
        """InvalidDocument when a field is left that this release does not know: it may have meant something."""
        if self._left:
            raise InvalidDocument(f"{self._what} has {len(self._left)} fields that this release does not know")

    def require(self, name: str, value: str) -> None:
        """A field that must have this very value, such as the document's format."""
        if self._take(name) != value:
            raise self._wrong(name, f"{value!r}")

    def text(self, name: str, *, pattern: re.Pattern[str] | None = None, empty: bool = False) -> str:
        """Text of 1 to MOST_TEXT characters, all on one line."""
        return self._text(name, self._take(name), pattern, empty)

    def texts(self, name: str, *, pattern: re.Pattern[str] | None = None, least: int = 0) -> tuple[str, ...]:
        """A list of different texts."""
        items = tuple(self._text(name, item, pattern, empty=False) for item in self.items(name, least=least))
        if len(set(items)) != len(items):
            raise self._wrong(name, "each entry once")
        return items

    def items(self, name: str, *, least: int = 0) -> list[Any]:
        """A list of anything, ``least`` to MOST_ITEMS entries."""
        items = self._take(name)
        if not isinstance(items, list) or not least <= len(items) <= MOST_ITEMS:
            raise self._wrong(name, f"a list of {least} to {MOST_ITEMS} entries")
        return items

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number in a range."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(name, f"a whole number from {least} to {most}")
        return value

    def optional_number(self, name: str, least: int, most: int) -> int | None:
        """The same, or null."""
        return None if self._is_null(name) else self.number(name, least, most)

    def hex_bytes(self, name: str, count: int) -> bytes:
        """``count`` bytes in lower-case hexadecimal digits."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) != 2 * count or not _HEX.fullmatch(value):
            raise self._wrong(name, f"{2 * count} hexadecimal digits")
        return bytes.fromhex(value)

    def optional_hex_bytes(self, name: str, count: int) -> bytes | None:
        """The same, or null."""
        return None if self._is_null(name) else self.hex_bytes(name, count)

    def moment(self, name: str) -> int:
        """A moment, in seconds since 1970."""
        value = self._take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a moment such as 2026-01-31T12:00:00Z")
        return moment_seconds(value)

    def optional_moment(self, name: str) -> int | None:
        """The same, or null."""
        return None if self._is_null(name) else self.moment(name)

    def value(self, name: str) -> object:
        """Anything, for the caller to take apart."""
        value: object = self._take(name)
        return value

    def _is_null(self, name: str) -> bool:
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return True
        return False

    def _take(self, name: str) -> Any:
        if name not in self._left:
            raise InvalidDocument(f"{self._what} lacks the field {name!r}")
        return self._left.pop(name)

    def _text(self, name: str, value: object, pattern: re.Pattern[str] | None, empty: bool) -> str:
        fits = isinstance(value, str) and (empty or value) and is_plain(value)
        if not fits or not isinstance(value, str) or (pattern and value and not pattern.fullmatch(value)):
            raise self._wrong(
                name, f"text of {0 if empty else 1} to {MOST_TEXT} characters, on one line{_of_form(pattern)}"
            )
        return value

    def _wrong(self, name: str, expected: str) -> InvalidDocument:
        return InvalidDocument(f"{self._what}: the field {name!r} is not what was expected: {expected}")


def _of_form(pattern: re.Pattern[str] | None) -> str:
    return f" of the form {pattern.pattern}" if pattern else ""
