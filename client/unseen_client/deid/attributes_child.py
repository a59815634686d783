"""The child that de-identifies the attributes of DICOM objects. It is pure Python over bytes and decodes no pixel.

Runs as a process of its own (``python -P -m unseen_client.deid.attributes_child BYTES``), limited (``child_limits``).
It holds the site key, so no decoder in another language ever runs in it: ``frames_child`` has those, and no key.

    start      magic, size of the choices, choices: {"site_key": hex, "options": [names]}   parent -> child, once
    request    magic, size of the file, size of a text beside it or 0, the file, the text   parent -> child
    reply      magic, outcome, size of the report, size of the file, report, file           child -> parent

The magic says what is wanted: the file without identifiers; what is enrolled of it, which of a structured report is its
words without identifiers, in UTF-8; or the same of the text beside it.

Report: JSON, {"report": what was done, "placement": where the object stands, with its real UIDs}, or the reason of a
refusal. An object that fills the memory ends the child, so that the next one finds it empty; any other refusal is an
ordinary answer.
"""

from __future__ import annotations

import json
import struct
import sys
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from unseen_client.child_limits import allow_computing, greet

if TYPE_CHECKING:
    from unseen.deid.dicom.options import Option
    from unseen.deid.dicom.placement import Placement
    from unseen.deid.dicom.report import DicomReport

START = struct.Struct("<4sI")
REQUEST = struct.Struct("<4sQQ")
REPLY = struct.Struct("<4sIIQ")
START_MAGIC, FILE_WANTED, ROWS_WANTED, TEXT_WANTED, REPLY_MAGIC = b"UAS1", b"UAF2", b"UAE2", b"UAT2", b"UAR1"
DONE, REFUSED = 0, 1
CPU_S_PER_OBJECT = 30
BYTES_PER_CPU_S = 4 << 20
"""Large objects get more time: a second for this many bytes beside the thirty."""


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    import unseen.deid.dicom.report_words  # noqa: F401 - a child that lacks a package must not start
    from unseen.deid.dicom.options import Option
    from unseen.errors import ImageRefused

    greet()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    _, size = START.unpack(requests.read(START.size))
    choices = json.loads(requests.read(size))
    site_key, options = bytes.fromhex(choices["site_key"]), frozenset(map(Option, choices["options"]))
    while header := requests.read(REQUEST.size):
        magic, size, text_size = REQUEST.unpack(header)
        if magic not in {FILE_WANTED, ROWS_WANTED, TEXT_WANTED}:
            return
        allow_computing(CPU_S_PER_OBJECT + size // BYTES_PER_CPU_S)
        try:
            data, text = requests.read(size), requests.read(text_size)
            report, clean = answered(magic, data, text, site_key, options)
        except ImageRefused as refusal:
            _reply(replies, REFUSED, str(refusal).encode(), b"")
            continue
        except MemoryError:
            _reply(replies, REFUSED, b"the object does not fit the memory of the process that reads it; split it", b"")
            return
        _reply(replies, DONE, report, clean)


def answered(
    magic: bytes, data: bytes, text: bytes, site_key: bytes, options: frozenset[Option]
) -> tuple[bytes, bytes]:
    """What a child says of an object, and the object or the words without identifiers; ImageRefused."""
    from unseen.deid.dicom.deidentify import deidentify
    from unseen.deid.dicom.refuse import refuse_image_without_pixels
    from unseen.deid.dicom.report_words import enrollable, words_beside

    this_year = datetime.now(UTC).year  # a child may live from one into the next
    if magic == TEXT_WANTED:
        report, placement, words = words_beside(text, data, site_key=site_key, this_year=this_year)
        return told(report, placement), words.encode()
    if magic == ROWS_WANTED:
        result, report_words = enrollable(data, site_key=site_key, options=options, this_year=this_year)
        clean = result.data if report_words is None else report_words.encode()
    else:
        result = deidentify(data, site_key=site_key, options=options)
        clean = result.data
    refuse_image_without_pixels(result.report)
    return told(result.report, result.placement), clean


def told(report: DicomReport, placement: Placement | None) -> bytes:
    """What a child says of an object beside the object."""
    return json.dumps({"report": report.as_dict(), "placement": placement.as_dict() if placement else {}}).encode()


def _reply(replies: IO[bytes], outcome: int, report: bytes, data: bytes) -> None:
    replies.write(REPLY.pack(REPLY_MAGIC, outcome, len(report), len(data)))
    replies.write(report)
    replies.write(data)
    replies.flush()


if __name__ == "__main__":
    main()
