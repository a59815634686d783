"""The parent's side of de-identifying DICOM attributes: bytes of a file out to a child, bytes of a clean one back.

Runs where the images are. Holds a file for the length of a call, and the site key.
"""

from __future__ import annotations

import json
from typing import Any

from unseen.deid.dicom.options import Option
from unseen.deid.dicom.placement import Placement
from unseen.deid.dicom.report import DicomReport
from unseen.errors import ImageRefused
from unseen.json_text import read_json
from unseen_client.child_process import ChildPool, ChildProcess
from unseen_client.deid import attributes_child as child

MODULE = "unseen_client.deid.attributes_child"
NEEDS = "'unseen[deid]'"
MEMORY_BYTES = 512 << 20
BASE_BYTES = 256 << 20
COPIES = 4
"""A file is held as it came, as elements, as what is written and as what is sent, so a large one needs more memory."""
OBJECTS_PER_CHILD = 2000
TIMEOUT_S = 60.0
BYTES_PER_S = 2 << 20
MOST_REPORT_BYTES = 1 << 16
MOST_INFLATED = 1100
"""A deflated object comes out as it was before, up to 1,032 times as long."""
MOST_REASON_CHARACTERS = 400
OUT_OF_TURN = "the process that reads objects answered out of turn; this one is likely hostile"


def memory_for(size_bytes: int, copies: int = COPIES) -> int:
    """Bytes of memory that a child may use for a file: 512 MiB, and a multiple of the file above that."""
    return max(MEMORY_BYTES, BASE_BYTES + copies * size_bytes)


class Attributes:
    """As many children as files are worked on at once. Safe for several threads, which wait for a free place."""

    def __init__(self, site_key: bytes, options: frozenset[Option], workers: int) -> None:
        names = sorted(option.value for option in options)
        self._choices = json.dumps({"site_key": site_key.hex(), "options": names}).encode()
        self._children = ChildPool(self._started, workers, OBJECTS_PER_CHILD)

    def deidentify(self, data: bytes) -> tuple[bytes, dict[str, Any]]:
        """Return a whole Part 10 file without identifiers in its attributes, and the report; ImageRefused."""
        clean, report, _ = self._asked(child.FILE_WANTED, data, b"")
        return clean, report

    def placed(self, data: bytes) -> tuple[bytes, dict[str, Any], Placement]:
        """Return the same, and where the object stands, its real UIDs among it; ImageRefused.

        A structured report comes back as its words without identifiers, in UTF-8, and its placement says so.
        """
        return self._asked(child.ROWS_WANTED, data, b"")

    def words_beside(self, text: bytes, data: bytes) -> tuple[bytes, Placement]:
        """Return a text that lies beside an object of its study without identifiers, and where it stands.

        Raises ImageRefused.
        """
        words, _, placement = self._asked(child.TEXT_WANTED, data, text)
        return words, placement

    def _asked(self, wanted: bytes, data: bytes, text: bytes) -> tuple[bytes, dict[str, Any], Placement]:
        size = len(data) + len(text)
        timeout_s = TIMEOUT_S + size / BYTES_PER_S
        with self._children.one(memory_for(size)) as running, running.talking("an object", timeout_s):
            running.send(child.REQUEST.pack(wanted, len(data), len(text)), data, text)
            outcome, report, clean = _received(running, size)
        if outcome != child.DONE:
            raise ImageRefused(_printable(report))
        return (clean, *_told(report))

    def close(self) -> None:
        """End the children, once nobody uses them."""
        self._children.close()

    def _started(self, memory_bytes: int) -> ChildProcess:
        running = ChildProcess(MODULE, memory_bytes, NEEDS)
        try:
            running.send(child.START.pack(child.START_MAGIC, len(self._choices)), self._choices)
        except BaseException:
            running.end()
            raise
        return running


def _received(running: ChildProcess, size: int) -> tuple[int, bytes, bytes]:
    """Outcome, report and object, as a child answers about an object of ``size`` bytes."""
    magic, outcome, report_size, data_size = child.REPLY.unpack(running.receive(child.REPLY.size))
    # What is written is hardly longer than what came: hashed UIDs and the record of what was done.
    fits = report_size <= MOST_REPORT_BYTES and data_size <= MOST_INFLATED * size + MOST_REPORT_BYTES
    if magic != child.REPLY_MAGIC or not fits:
        raise ImageRefused(OUT_OF_TURN)
    return outcome, running.receive(report_size), running.receive(data_size)


def _told(report: bytes) -> tuple[dict[str, Any], Placement]:
    """What a child says was done, with every field that a report has, and where the object stands.

    A child that an object took over may say anything.
    """
    try:
        told = read_json(report)
        fields = told["report"]
        DicomReport.from_dict(fields)
        return dict(fields), Placement.from_dict(told["placement"])
    except (ValueError, TypeError, KeyError):
        raise ImageRefused(OUT_OF_TURN) from None


def _printable(reason: bytes) -> str:
    text = reason.decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable())[:MOST_REASON_CHARACTERS]
