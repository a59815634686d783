"""Images on their way in: each is decoded, de-identified and embedded on the device before its row is sent.

An image that a privacy step refuses stays on the device and is reported with the reason; the others go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from unseen.errors import ImageRefused, InvalidInput, LimitExceeded
from unseen_client.flows.enrol import Enrolment, Row, require_one_each
from unseen_client.flows.search import require_model
from unseen_client.flows.sync import open_current
from unseen_client.records import Record
from unseen_client.report import EnrolReport, Refusal
from unseen_client.session import Session
from unseen_client.steps import Flow, Progress, local

IMAGES_PER_STREAM = 50
"""Preparing takes longer than sending: what is prepared is soon on the server's disk."""
ID_HEX_DIGITS = 16


@dataclass(frozen=True)
class Prepared:
    """A row from an image, and the faces covered in it."""

    row: Row
    faces_covered: int


def enrol_images(
    session: Session, name: str, paths: Sequence[Path], records: Sequence[Record] | None
) -> Flow[EnrolReport]:
    """Enrol image files; files that are there already and those refused are reported."""
    require_one_each("paths", len(paths), records)
    place = yield from open_current(session, name)
    preparer = yield from local(session.preparer)
    require_model(place.collection, preparer.model_id)
    enrolment = Enrolment(session, place, total=len(paths))
    waiting: dict[str, Prepared] = {}
    refused: list[Refusal] = []
    faces: dict[str, int] = {}
    for at, path in enumerate(paths):
        yield Progress(at, len(paths), "images")
        try:
            record = yield from local(partial(describe, path, records[at] if records else Record()))
            if record.id in waiting or (yield from enrolment.has(record.id)):
                enrolment.already.append(record.id)
                continue
            prepared = yield from local(partial(_prepare, session, path, record))
        except (ImageRefused, InvalidInput, LimitExceeded) as error:
            refused.append(Refusal(str(path), error.code, str(error)))
            continue
        waiting[record.id] = prepared
        faces[record.id] = prepared.faces_covered
        if len(waiting) == IMAGES_PER_STREAM:
            yield from enrolment.send([ready.row for ready in waiting.values()])
            waiting.clear()
    yield from enrolment.send([ready.row for ready in waiting.values()])
    yield Progress(len(paths), len(paths), "images")
    covered = sum(faces[row] for row in enrolment.enrolled)
    return replace(enrolment.report(), refused=tuple(refused), faces_covered=covered)


def describe(path: Path, record: Record) -> Record:
    """The record with its id and name filled in from the file; raises InvalidInput when it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; give the path of an image file") from error
    return replace(record, id=record.id or digest[:ID_HEX_DIGITS], name=record.name or path.name)


def _prepare(session: Session, path: Path, record: Record) -> Prepared:
    image = session.preparer().image(path)
    row = Row(image.vector, replace(record, thumbnail=record.thumbnail or image.thumbnail))
    return Prepared(row, image.faces_covered)
