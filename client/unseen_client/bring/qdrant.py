"""Points of Qdrant as its scroll call gives them, with payload and vectors: JSON, or JSONL with one reply a line.

    POST /collections/NAME/points/scroll  {"with_payload": true, "with_vector": true, "limit": 1000}
    reply   {"result": {"points": [{"id", "payload", "vector"}, ...], "next_page_offset": ...}, ...}

A list of points, or one point a line, is taken as well. Vectors are taken as they are. Snapshots are RocksDB's own
files and are not read; nor are sparse vectors and several vectors of one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unseen.errors import InvalidInput
from unseen.json_text import read_json
from unseen_client.bring.brought import Brought, Float32Array
from unseen_client.bring.fields import PATH_FIELDS, TEXT_FIELD, described
from unseen_client.bring.manifest import opened
from unseen_client.records import Record

LARGEST_CHARACTERS = 1 << 30
"""JSON is read whole, JSONL by lines: a million points of 512 numbers have 10 GB; fetch them as one reply a line."""


def read_points(path: Path, vector: str, tags: tuple[str, ...] = ()) -> Brought:
    """The points of a JSON or JSONL file; ``vector`` names one of several vectors. Raises InvalidInput."""
    found: list[tuple[Float32Array, Record]] = []
    for number, point in enumerate(_points(path), 1):
        try:
            found.append(_row(point, vector, tags))
        except InvalidInput as error:
            raise InvalidInput(f"{path}, point {number}: {error}; nothing was enrolled") from error
    return Brought(vectors=found)


def is_points(fields: Mapping[Any, Any]) -> bool:
    """Whether the JSON object of a line is a point or a reply with points, not a picture that scored points."""
    if not fields.keys().isdisjoint((*PATH_FIELDS, TEXT_FIELD)):
        return False
    return "result" in fields or "points" in fields or {"id", "vector"} <= fields.keys()


def _points(path: Path) -> Iterator[Any]:
    if path.suffix.lower() != ".json":
        with opened(path) as file:
            while line := file.readline(LARGEST_CHARACTERS + 1):
                if line.strip():
                    yield from _unwrapped(_parsed(path, line))
        return
    with opened(path) as file:
        yield from _unwrapped(_parsed(path, file.read(LARGEST_CHARACTERS + 1)))


def _parsed(path: Path, text: str) -> Any:
    if len(text) > LARGEST_CHARACTERS:
        raise InvalidInput(f"{path}: more than {LARGEST_CHARACTERS} characters of JSON; give JSONL, one reply a line")
    try:
        return read_json(text)
    except ValueError as error:
        raise InvalidInput(f"{path} is no JSON: {error}; nothing was enrolled") from error


def _unwrapped(given: Any) -> list[Any]:
    """The points of a reply, of its result, of a list; or the one point that it is."""
    if isinstance(given, dict) and "result" in given:
        given = given["result"]
    if isinstance(given, dict) and "points" in given:
        given = given["points"]
    return given if isinstance(given, list) else [given]


def _row(point: Any, name: str, tags: tuple[str, ...]) -> tuple[Float32Array, Record]:
    if not isinstance(point, dict) or not isinstance(point.get("id"), (int, str)) or isinstance(point["id"], bool):
        raise InvalidInput("expected a point with an id, a payload and a vector, as Qdrant's scroll call gives it")
    payload = {} if point.get("payload") is None else point["payload"]
    if not isinstance(payload, dict):
        raise InvalidInput("the payload is no object")
    line = described({key: value for key, value in payload.items() if key != "id"}, tags)
    record = replace(
        line.record,
        id=str(point["id"]),
        caption=line.record.caption or line.text,
        link=line.record.link or line.path,
    )
    return _vector(point.get("vector"), name), record


def _vector(given: Any, name: str) -> Float32Array:
    if isinstance(given, dict):
        if name not in given:
            names = ", ".join(sorted(map(str, given))[:5]) or "none"
            raise InvalidInput(f"several vectors have names ({names}); choose one with --vector NAME")
        given = given[name]
    if given is None:
        raise InvalidInput("no vector; scroll with with_vector=true")
    try:
        vector = np.array(given, np.float32)
    except (TypeError, ValueError, OverflowError):
        vector = np.zeros(0, np.float32)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise InvalidInput("the vector is no list of numbers; sparse and multiple vectors are not taken")
    return vector
