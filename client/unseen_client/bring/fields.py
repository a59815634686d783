"""From the fields of a manifest's line, a table's row or a point's payload to a record. On the device only.

path, image_path            the picture                     text                the text
id, name, link              as they are                     caption, description  the caption
tags                        a list, or a text with commas   anything else       an extra field, for `--where`
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from unseen.errors import InvalidInput
from unseen_client.records import Record

PATH_FIELDS = ("path", "image_path")
TEXT_FIELD = "text"
CAPTION_FIELDS = ("caption", "description")
OWN_FIELDS = ("id", "name", "link")
TAGS_FIELD = "tags"
MOST_FIELDS = 200
"""Of a line; a record has 64 KiB in all."""


@dataclass(frozen=True)
class Described:
    """One line, sorted."""

    path: str
    text: str
    record: Record


def described(fields: Mapping[Any, Any], tags: tuple[str, ...] = ()) -> Described:
    """Sort the fields of one line, ``tags`` added to its own; raises InvalidInput."""
    if len(fields) > MOST_FIELDS:
        raise InvalidInput(f"got {len(fields)} fields, expected at most {MOST_FIELDS}")
    if not all(isinstance(name, str) and name for name in fields):
        raise InvalidInput("got a value without a field name; every column needs a heading")
    left = {name: value for name, value in fields.items() if not _is_empty(value)}
    row, name, link = (as_text(left.pop(field, "")) for field in OWN_FIELDS)
    path, caption = _first(left, PATH_FIELDS), _first(left, CAPTION_FIELDS)
    text = as_text(left.pop(TEXT_FIELD, ""))
    own_tags = _tags(left.pop(TAGS_FIELD, ()))
    extra = {name: as_text(value) for name, value in left.items()}
    record = Record(row, name, caption, tuple(dict.fromkeys((*own_tags, *tags))), link, extra=extra)
    return Described(path, text, record)


def as_text(value: object) -> str:
    """A value as records keep it: texts and numbers as they are written, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        raise InvalidInput("got a field of bytes, expected texts, numbers, dates and lists")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple, dict, bool)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _first(left: dict[str, object], names: tuple[str, ...]) -> str:
    """The value of the first of these names; those after it stay what they are."""
    return next((as_text(left.pop(name)) for name in names if name in left), "")


def _tags(given: object) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple)):
        raise InvalidInput(f"got tags of type {type(given).__name__}, expected a list, or a text with commas")
    return [tag for part in parts if (tag := as_text(part).strip())]


def _is_empty(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
