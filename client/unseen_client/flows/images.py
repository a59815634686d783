"""Images on their way in: each is decoded, de-identified and embedded on the device before its row is sent.

An image that a privacy step refuses stays on the device and is reported with the reason; the others go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import ImageRefused, InvalidInput, ModelMismatch, UnseenError
from unseen_client.describing.describer import Describer, Describing
from unseen_client.flows import consents
from unseen_client.flows.consents import NOTHING, Basis, Given
from unseen_client.flows.enrol import Enrolment, require_one_each, standing_of, subjects_of
from unseen_client.flows.enrol_stream import Row
from unseen_client.flows.model import preparer_of
from unseen_client.flows.standing import as_given
from unseen_client.flows.sync import open_current
from unseen_client.records import CONTENT_ID_DIGITS, Record
from unseen_client.report import EnrolReport, Refusal
from unseen_client.session import Session
from unseen_client.source_file import PictureFile, opened_source, readable_name
from unseen_client.steps import Flow, Progress, local

if TYPE_CHECKING:
    from unseen.dp.mechanism import Mechanism
    from unseen_client.deid.passed import Passed
    from unseen_client.prepare import Preparer

IMAGES_PER_STREAM = 50
"""Preparing takes longer than sending: what is prepared is soon on the server's disk."""


@dataclass(frozen=True)
class Image:
    """One image as the caller gave it, and what its row rests on."""

    path: PictureFile
    record: Record
    subject: str
    basis: Basis | None


@dataclass(frozen=True)
class Prepared:
    """A row from an image, and the faces covered in it."""

    row: Row
    faces_covered: int


def enrol_images(
    session: Session,
    name: str,
    paths: Sequence[PictureFile],
    records: Sequence[Record] | None,
    noise: Mechanism | None = None,
    given: Given = NOTHING,
    describing: Describing | None = None,
    deid_report: Path | None = None,
    *,
    update: bool = False,
) -> Flow[EnrolReport]:
    """Enrol image files; files that are there already and those refused are reported.

    ``deid_report``: what `unseen deid` wrote of files that it covered, which are not looked at again.
    ``update``: rows that are there with another picture or description are erased and enrolled anew.
    """
    require_one_each("paths", len(paths), records)
    subjects = subjects_of(given.subject, len(paths))
    place = yield from open_current(session, name)
    preparer = yield from preparer_of(session, place.collection)
    if is_dicom_model(place.collection.model_id):
        raise ModelMismatch(
            f"collection {name!r} holds pictures that were made of DICOM objects; use enrol_dicom, or a collection of "
            "model 'bundled' for photographs: the two are not mixed"
        )
    bases = yield from consents.bases(session, place, given, len(paths), noise)
    yield Progress(0, len(paths), "images")
    passed = (yield from local(partial(preparer.passed, deid_report))) if deid_report else None
    describer = yield from local(partial(Describer, preparer, describing)) if describing else local(lambda: None)
    standing = yield from standing_of(place, update)
    enrolment = Enrolment(session, place, len(paths), noise, standing)
    images = _Images(partial(prepared, preparer, describer=describer, passed=passed), enrolment, paths)
    described = records or [Record()] * len(paths)
    at_once = enrolment.at_once(IMAGES_PER_STREAM)
    for start in range(0, len(paths), at_once):
        part = slice(start, start + at_once)
        several = zip(paths[part], described[part], subjects[part], bases[part], strict=True)
        yield from images.enrol([Image(*one) for one in several])
    return images.report()


Prepare = Callable[[Sequence[Image]], Iterator[Prepared | Refusal]]


class _Images:
    """Prepares and sends images, and keeps count of what became of them."""

    def __init__(self, prepare: Prepare, enrolment: Enrolment, paths: Sequence[PictureFile]) -> None:
        self._prepare = prepare
        self._enrolment = enrolment
        self._order = {str(path): at for at, path in enumerate(paths)}
        self._total = len(paths)
        self._done = 0
        self._refused: list[Refusal] = []
        self._faces: dict[str, int] = {}

    def report(self) -> EnrolReport:
        covered = sum(self._faces[row] for row in self._enrolment.enrolled)
        refused = sorted(self._refused, key=lambda refusal: self._order[refusal.source])
        return replace(self._enrolment.report(), refused=tuple(refused), faces_covered=covered)

    def enrol(self, images: Sequence[Image]) -> Flow[None]:
        """Prepare what is not there yet, then send it as one stream."""
        new = yield from self._new(images)
        rows: list[Row] = []
        coming = self._prepare(new)
        while (outcome := (yield from local(partial(next, coming, None)))) is not None:
            if isinstance(outcome, Prepared):
                rows.append(outcome.row)
                self._faces[outcome.row.record.id] = outcome.faces_covered
            else:
                self._refused.append(outcome)
            yield self._one_more()
        yield from self._enrolment.send(rows)

    def _new(self, images: Sequence[Image]) -> Flow[list[Image]]:
        """The files that need work, with their records filled in."""
        new: list[Image] = []
        for given in images:
            try:
                record = yield from local(partial(describe, given.path, given.record))
                is_needed = yield from self._enrolment.needs(str(given.path), record)
            except (InvalidInput, ImageRefused) as error:
                self._refused.append(Refusal(str(given.path), error.code, str(error)))
                yield self._one_more()
                continue
            if is_needed:
                new.append(replace(given, record=record))
            else:
                yield self._one_more()
        return new

    def _one_more(self) -> Progress:
        self._done += 1
        return Progress(self._done, self._total, "images")


def describe(path: PictureFile, record: Record) -> Record:
    """The record with what is empty filled in from the file; raises InvalidInput, ImageRefused when unreadable."""
    digest = _digest(path)
    row, name = record.id or digest.hex()[:CONTENT_ID_DIGITS], record.name or readable_name(path)
    return as_given(replace(record, id=row, name=name, content=digest))


def _digest(path: PictureFile) -> bytes:
    if not isinstance(path, Path):
        return path.content()
    try:
        with opened_source(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except ImageRefused as error:  # it is the path that is wrong, no picture was looked at
        raise InvalidInput(str(error)) from error


def prepared(
    preparer: Preparer, images: Sequence[Image], describer: Describer | None = None, passed: Passed | None = None
) -> Iterator[Prepared | Refusal]:
    """Every file, in order, as a row or as the reason why it is none; several are worked on at once.

    A picture that was to be described and cannot be is none either: nothing is left out in silence.
    """
    outcomes = preparer.images((image.path for image in images), passed)
    for given, (path, image) in zip(images, outcomes, strict=True):
        if isinstance(image, UnseenError):
            yield Refusal(str(path), image.code, str(image))
        else:
            record = replace(given.record, thumbnail=given.record.thumbnail or image.thumbnail)
            vector = image.vector
            if describer is not None:
                try:
                    vector, record = describer.described(image, record)
                except UnseenError as error:
                    yield Refusal(str(path), error.code, str(error))
                    continue
            yield Prepared(Row(vector, record, given.subject, given.basis), image.faces_covered)
