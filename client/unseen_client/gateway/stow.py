"""STOW-RS: objects that a DICOMweb client posts, taken apart and put into the queue (PS3.18 section 10.5).

Runs at the edge of the site. Looks at the letters DICM of each part and at nothing else of it, so the answer cannot
name the instances: it counts those that are none. What is refused later is in quarantine, as after C-STORE.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from email.message import Message
from itertools import islice, pairwise

from unseen.errors import InvalidInput
from unseen_client.deid.kinds import HEAD_BYTES, Kind, kind_of
from unseen_client.gateway.rest import Answer

MOST_PARTS = 10_000
NOT_UNDERSTOOD = 0xC000
"""Failure reason of an item of the Failed SOP Sequence (PS3.18 table I.2-2)."""
DICOM_JSON = "application/dicom+json"
SENDER = "a DICOMweb client"


def store(put: Callable[[bytes, str], object], media_type: str, body: bytes) -> Answer:
    """Put every object of a request into the queue; 200 when all are there, 202 when some were no objects.

    Raises InvalidInput for a body that is none, StoreFailed when there is no room: some may be in the queue then, and
    sending all of them again changes nothing.
    """
    parts = parts_of(media_type, body)
    objects = [part for part in parts if kind_of(bytes(part[:HEAD_BYTES])) is Kind.DICOM]
    for part in objects:
        put(bytes(part), SENDER)
    if not objects:
        raise InvalidInput("none of the parts is a DICOM object")
    failed = [{"00081197": {"vr": "US", "Value": [NOT_UNDERSTOOD]}}] * (len(parts) - len(objects))
    told = {"00081198": {"vr": "SQ", "Value": failed}} if failed else {}
    return 202 if failed else 200, DICOM_JSON, json.dumps(told).encode()


def parts_of(media_type: str, body: bytes) -> list[memoryview]:
    """The bodies of a multipart/related request of type application/dicom, in place (RFC 2387, RFC 2046); InvalidInput.

    They are not copied: a body may be one object as large as is allowed, and several come at once.
    """
    header = Message()
    header["Content-Type"] = media_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise InvalidInput('expected Content-Type: multipart/related; type="application/dicom"; boundary=...')
    delimiters = list(islice(_delimiters(b"--" + boundary.encode("ascii", "replace"), body), MOST_PARTS + 2))
    is_closed = len(delimiters) > 1 and body.startswith(b"--", delimiters[-1][1])
    if not is_closed or len(delimiters) > MOST_PARTS + 1:
        raise InvalidInput(f"the body does not end with its boundary, or has no parts, or more than {MOST_PARTS}")
    return [_content(body, behind, before) for (_, behind), (before, _) in pairwise(delimiters)]


def _delimiters(marker: bytes, body: bytes) -> Iterator[tuple[int, int]]:
    """Where each begins, with the line break in front of it, and where it ends."""
    at = 0
    if body.startswith(marker):
        yield 0, (at := len(marker))
    line = b"\r\n" + marker
    while (begin := body.find(line, at)) >= 0:
        yield begin, (at := begin + len(line))


def _content(body: bytes, begin: int, end: int) -> memoryview:
    """What follows the headers of a part; a part without headers begins with an empty line."""
    blank = body.find(b"\r\n\r\n", begin, end)
    if blank < 0:
        raise InvalidInput("a part of the body has no empty line behind its headers")
    return memoryview(body)[blank + 4 : end]
