"""What stands of an enrolment before it begins: rows as they were described, and what they were made from.

Read from this device's mirror; nothing of it leaves the device. Holds two hashes of each row, no record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from unseen_client.flows.sync import Place
from unseen_client.records import CONTENT_ID_DIGITS, Record, encode_record

ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Row:
    given: bytes
    """SHA-256 over what people wrote of it; empty where its record does not say."""
    content: bytes
    """SHA-256 over what it was made from; empty where its record does not say."""


class Standing:
    """The rows of a collection, by id and by what they were made from."""

    def __init__(self, place: Place) -> None:
        self._rows: dict[str, _Row] = {}
        self._by_content: dict[bytes, str] = {}
        offset = 0
        while page := place.mirror.page(ROWS_AT_ONCE, offset):
            for row, sealed in page:
                record = place.opened(row, sealed)
                self._rows[record.id] = _Row(record.given, record.content)
                if record.content:
                    self._by_content.setdefault(record.content, record.id)
            offset += len(page)

    def changed(self, record: Record) -> bool:
        """Whether a row is there under this id, but with another description or made from something else.

        A row that goes by its content is what it is: the same file in another folder takes nothing's place.
        """
        row = self._rows.get(record.id)
        if row is None or record.id == record.content.hex()[:CONTENT_ID_DIGITS]:
            return False
        other_content = bool(row.content and record.content) and row.content != record.content
        return other_content or row.given != record.given

    def made_from(self) -> dict[bytes, str]:
        """The first row that was made from each content."""
        return dict(self._by_content)


def as_given(record: Record) -> Record:
    """The record with the hash over what people wrote: id, name, caption, tags, link and extra fields, as protobuf."""
    bare = replace(record, thumbnail=b"", vector=None, noise=None, content=b"", given=b"")
    return replace(record, given=hashlib.sha256(encode_record(bare)).digest())
