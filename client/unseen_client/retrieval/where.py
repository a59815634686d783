"""Conditions on records, tried on the device after it has the scores: the server sees no more than a search.

    tag = dog            one of the tags is "dog"; letters' case does not matter
    taken >= 2024-01-01  a field of ``extra``, compared as dates, because both sides are; so are 2024 and 2024-01
    price < 20           as numbers, because both sides are
    maker in Acme, "Smith, Sons"

Fields are id, name, caption, link, tag, and every name in a record's ``extra`` (``extra.name`` for one of these five).
Operators: = != < <= > >= in, not in. A condition is split once and compared; nothing in it is ever run.
"""

from __future__ import annotations

import csv
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

from unseen.errors import InvalidInput
from unseen_client.records import Record

Fits: TypeAlias = Callable[[Record], bool]
"""Whether a record may be among the hits."""
Where: TypeAlias = str | Sequence[str] | Fits | None
"""One condition, several that must all hold, or a function of the caller's own."""

MOST_CONDITIONS = 64
LONGEST_CONDITION = 4096
_OPERATOR = re.compile(r"\s(?:not\s{1,9}in|in)\s|<=|>=|!=|==|=|<|>")
"""The first of these in a condition; it never looks twice at a long run of spaces."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_PERIOD = re.compile(r"(\d{4})(?:-(\d{2}))?")
"""A year, or a month of one."""
_EXIF_DATE = re.compile(r"(\d{4}):(\d{2}):(\d{2})")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_FIELDS = ("id", "name", "caption", "link")
_EXTRA = "extra."


@dataclass(frozen=True)
class Condition:
    """One condition, split into its parts."""

    field: str
    operator: str
    """=, !=, <, <=, >, >=; "in" is = with several values, "not in" is !=."""
    values: tuple[str, ...]

    def holds(self, record: Record) -> bool:
        """Whether a record fulfils it; a field that a record does not have fulfils nothing but != and not in."""
        found, exact = _found(record, self.field)
        if self.operator in _ORDERS:
            compare = _ORDERS[self.operator]
            return any(_in_order(compare, one, self.values[0]) for one in found)
        equal = any(_equal(one, value, exact) for one in found for value in self.values)
        return equal == (self.operator == "=")


def fits_of(where: Where) -> Fits | None:
    """What ``where`` asks of a record, None when it asks nothing; raises InvalidInput."""
    if where is None or callable(where):
        return where
    conditions = [condition(text) for text in ([where] if isinstance(where, str) else where)]
    if len(conditions) > MOST_CONDITIONS:
        raise InvalidInput(f"got {len(conditions)} conditions; give at most {MOST_CONDITIONS}")
    return (lambda record: all(one.holds(record) for one in conditions)) if conditions else None


def condition(given: object) -> Condition:
    """A condition from its text; raises InvalidInput."""
    text = given if isinstance(given, str) and len(given) <= LONGEST_CONDITION else ""
    match = _OPERATOR.search(text)
    field, value = (text[: match.start()].strip(), text[match.end() :].strip()) if match else ("", "")
    if match is None or not field or not value:
        raise InvalidInput(
            "got a condition that is none, expected text as FIELD OPERATOR VALUE, such as 'tag = dog', "
            "'taken >= 2024-01-01', 'price in 5, 10'; operators are = != < <= > >= in, not in"
        )
    written = " ".join(match.group().split())
    if written in ("in", "not in"):
        return Condition(field, "=" if written == "in" else "!=", _listed(value))
    return Condition(field, "=" if written == "==" else written, (_unquoted(value),))


def _listed(text: str) -> tuple[str, ...]:
    try:
        values = next(csv.reader([text.replace("\n", " ")], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InvalidInput("got a list of values with an open quote; write it as 'a, \"b, c\", d'") from error
    return tuple(value.strip() for value in values)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _found(record: Record, field: str) -> tuple[tuple[str, ...], bool]:
    """The values of a record's field, none when it has no such field; and whether they are words, never numbers."""
    if field in ("tag", "tags"):
        return record.tags, True
    if field in _TEXT_FIELDS:
        value: str = getattr(record, field)
        return ((value,) if value else ()), True
    value = record.extra.get(field.removeprefix(_EXTRA), "")
    return ((value,) if value else ()), False


def _equal(found: str, wanted: str, exact: bool) -> bool:
    if found.casefold() == wanted.casefold():
        return True
    alike = None if exact else _alike(found, wanted)
    return alike is not None and bool(alike[0] == alike[1])


def _in_order(compare: Callable[[Any, Any], bool], found: str, wanted: str) -> bool:
    """Whether two values stand in an order: as numbers or dates where both are, as words where the wanted is none."""
    alike = _alike(found, wanted)
    if alike is None and not _PERIOD.fullmatch(wanted) and (_number(wanted), _moment(wanted)) == (None, None):
        alike = found.casefold(), wanted.casefold()
    return alike is not None and compare(*alike)


def _alike(found: str, wanted: str) -> tuple[Any, Any] | None:
    """Both as numbers or both as dates, or None."""
    numbers = _number(found), _number(wanted)
    if None not in numbers:
        return numbers
    there, asked = _moment(found), _moment(wanted)
    if there is not None and (period := _PERIOD.fullmatch(wanted)):
        numbers_asked = tuple(int(one) for one in period.groups() if one)
        return (there.year, there.month)[: len(numbers_asked)], numbers_asked
    if there is None or asked is None:
        return None
    if not isinstance(asked, datetime):  # a day: whatever happens on it is on it
        return (there.date() if isinstance(there, datetime) else there), asked
    return (there if isinstance(there, datetime) else datetime.combine(there, time(), UTC)), asked


def _number(text: str) -> float | None:
    text = text.strip()  # float strips fewer kinds of white space
    return float(text) if _NUMBER.fullmatch(text) else None


def _moment(text: str) -> date | datetime | None:
    """A day, or a moment with its time zone, UTC where none is named."""
    written = _EXIF_DATE.sub(r"\1-\2-\3", text.strip(), count=1)
    try:
        return date.fromisoformat(written)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
