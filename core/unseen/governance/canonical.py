"""One form of bytes for one document, so that a hash or a signature of it means the same everywhere: RFC 8785.

Both sides use it. Documents here are public to whoever may see the collection; they hold no image, vector or name of a
data subject.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import rfc8785

from unseen.errors import InvalidDocument

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

MOST_DOCUMENT_BYTES = 64 << 10
"""A policy with every field filled has a few KiB; parsing more would only serve who wants to keep us busy."""


def canonical_bytes(document: Mapping[str, Json]) -> bytes:
    """The one encoding of a document (RFC 8785, section 3.2); InvalidDocument for what it cannot carry."""
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        raise InvalidDocument(f"this document has no canonical form ({type(error).__name__})") from error


def parse_canonical(data: bytes) -> dict[str, Any]:
    """The document that bytes encode; InvalidDocument unless they are its one encoding, without a fraction in it."""
    if len(data) > MOST_DOCUMENT_BYTES:
        raise InvalidDocument(f"got a document of {len(data)} bytes, expected at most {MOST_DOCUMENT_BYTES}")
    document = parse_object(data)
    if canonical_bytes(document) != data:
        raise InvalidDocument("the document's bytes are not canonical JSON (RFC 8785); encode it anew")
    return document


def parse_object(data: bytes | str) -> dict[str, Any]:
    """A JSON object as people write it; InvalidDocument for anything else, for a name twice and for fractions."""
    try:
        document = json.loads(
            data, object_pairs_hook=_no_name_twice, parse_float=_no_fraction, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise InvalidDocument(f"this is not a JSON document: {_where(error)}") from error
    if not isinstance(document, dict):
        raise InvalidDocument(f"expected a JSON object, got {type(document).__name__}")
    return document


def digest(data: bytes) -> str:
    """SHA-256 of canonical bytes, 64 hex digits: what other documents know this one by."""
    return hashlib.sha256(data).hexdigest()


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_fraction(_: str) -> Any:
    raise ValueError("numbers are whole here; write a fraction as text")


def _no_number(_: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


def _where(error: Exception) -> str:
    """What was wrong, without a word of the document."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
