"""DICOM objects on their way in: looked through, chosen, de-identified, made pictures, embedded, sent as rows.

    every file -> where does it stand? -> which frames and slices stand for each volume -> those that are not there yet
               -> crosswalk, on this device -> de-identified, rendered, embedded -> rows

An object that any step refuses stays on the device and is reported with the reason; the others go on. A row's id is
computed from the pseudonym of its object, so what is there already is skipped, whatever its file is called now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import ImageRefused, InvalidInput, ModelMismatch
from unseen_client.dicom.crosswalk import Crosswalk, WayBack
from unseen_client.flows import collections, consents
from unseen_client.flows.consents import NOTHING, Given
from unseen_client.flows.enrol import Enrolment, subjects_of
from unseen_client.flows.enrol_stream import Row
from unseen_client.flows.images import IMAGES_PER_STREAM
from unseen_client.flows.model import preparer_of
from unseen_client.flows.search import STUDY
from unseen_client.flows.survey import Choices, Chosen, Survey, row_name, sources_of
from unseen_client.flows.sync import Place, open_current
from unseen_client.flows.texts import describe
from unseen_client.in_order import in_order
from unseen_client.records import Record, row_id
from unseen_client.report import DicomEnrolReport, Refusal
from unseen_client.session import Session
from unseen_client.steps import Flow, Progress, local

if TYPE_CHECKING:
    from unseen.deid.dicom.placement import Placement
    from unseen.dp.mechanism import Mechanism
    from unseen_client.dicom.prepare import DicomPictures, DicomPreparer, DicomWords
    from unseen_client.dicom.source import DicomSource


def enrol_dicom(
    session: Session,
    name: str,
    sources: Sequence[Path | DicomSource],
    choices: Choices,
    noise: Mechanism | None = None,
    given: Given = NOTHING,
) -> Flow[DicomEnrolReport]:
    """Enrol DICOM objects, given as files, folders and other sources; those there already and refused are reported."""
    if choices.pictures_per_volume < 0:
        raise InvalidInput(f"got {choices.pictures_per_volume} pictures of a volume, expected 1 or more, or 0 for all")
    place = yield from open_current(session, name)
    if not is_dicom_model(place.collection.model_id):
        raise ModelMismatch(
            f"collection {name!r} is not one of DICOM objects; create one with `unseen create NAME --model "
            "bundled+dicom`: how objects become pictures is part of its model"
        )
    yield from preparer_of(session, place.collection)
    server = yield from collections.server_info(session)
    crosswalk = yield from local(lambda: session.crosswalk(server.store_uid, place.key))
    preparer = yield from local(partial(session.dicom_preparer, place.collection.model_id, choices.text))
    survey = Survey(preparer, choices)
    yield from survey.look_through((yield from local(partial(sources_of, sources))))
    chosen = yield from local(survey.chosen)
    chosen = yield from _with_bases(session, place, chosen, noise, given)
    rows = sum(len(one.frames) for one in chosen)
    enrolment = Enrolment(session, place, rows, noise)
    objects = _Objects(preparer, enrolment, place, crosswalk, choices.tags)
    for part in _streams(chosen, enrolment.at_once(IMAGES_PER_STREAM)):
        yield from objects.enrol(part)
        yield Progress(objects.done, len(chosen), "objects")
    return objects.report(survey, chosen)


class _Objects:
    """Prepares and sends chosen objects, and keeps count of what became of them."""

    def __init__(
        self, preparer: DicomPreparer, enrolment: Enrolment, place: Place, crosswalk: Crosswalk, tags: tuple[str, ...]
    ) -> None:
        self._preparer = preparer
        self._enrolment = enrolment
        self._place = place
        self._crosswalk = crosswalk
        self._tags = tags
        self._refused: list[Refusal] = []
        self._counts: Counter[str] = Counter()
        self.done = 0

    def report(self, survey: Survey, chosen: Sequence[Chosen]) -> DicomEnrolReport:
        known = self._enrolment.report()
        there = {*known.ids, *known.already}
        placements = survey.placements.values()
        standing = {row for one in chosen for row in one.row_ids.values()}
        order = {name: at for at, name in enumerate(survey.placements)}
        late = sorted(self._refused, key=lambda refusal: order[refusal.source])
        return DicomEnrolReport(
            ids=known.ids,
            already=known.already,
            refused=(*survey.refused, *late),
            faces_covered=self._counts["faces"],
            objects=len(survey.placements),
            studies=len({placement.study for placement in placements}),
            series=len({placement.series for placement in placements}),
            stood_for=len(survey.placements) - len(chosen),
            passed_over=survey.passed_over,
            places_covered=self._counts["covered"],
            searchable=len(standing & there),
            reports=self._counts["reports"],
        )

    def enrol(self, objects: Sequence[Chosen]) -> Flow[None]:
        """Prepare what is not there yet, write the ways back, then send the rows as one stream."""
        from unseen_client.dicom.prepare import DicomPictures

        new = yield from self._new(objects)
        rows: dict[str, Row] = {}
        coming = in_order(new, self._made, self._preparer.workers)
        while (outcome := (yield from local(partial(next, coming, None)))) is not None:
            one, made = outcome
            if isinstance(made, ImageRefused):
                self._refused.append(Refusal(one.source.name, made.code, str(made)))
                continue
            if isinstance(made, DicomPictures):
                self._counts.update({"faces": made.faces, "covered": made.covered})
                rows |= {row.record.id: row for row in _rows(one, made, self._tags)}
            else:
                self._counts["reports"] += 1
                row = _report_row(one, made, self._tags)
                rows[row.record.id] = row
        self.done += len(objects)
        left = {refusal.source for refusal in self._refused}
        yield from local(partial(self._keep_ways_back, [one for one in objects if one.source.name not in left]))
        yield from self._enrolment.send(list(rows.values()))

    def _made(self, one: Chosen) -> DicomPictures | DicomWords:
        if one.placement.is_report:
            return self._preparer.report(one.source, one.placement)
        return self._preparer.pictures(one.source, one.chosen_frames)

    def _keep_ways_back(self, objects: Sequence[Chosen]) -> None:
        self._crosswalk.put({
            row_id(self._place.key.record_key, name): WayBack(
                one.placement.origin.study,
                one.placement.origin.series,
                one.placement.origin.instance,
                frame + 1,
                one.source.origin,
            )
            for one in objects
            for frame, name in one.row_ids.items()
        })  # fmt: skip

    def _new(self, objects: Sequence[Chosen]) -> Flow[list[Chosen]]:
        """The objects that need work, with the frames whose rows are not there."""
        new: list[Chosen] = []
        coming: set[str] = set()
        for one in objects:
            frames = []
            for frame, row in one.row_ids.items():
                if row in coming or (yield from self._enrolment.has(row)):
                    self._enrolment.already.append(row)
                else:
                    coming.add(row)
                    frames.append(frame)
            if frames:
                new.append(replace(one, frames=tuple(frames)))
        return new


def _rows(one: Chosen, made: DicomPictures, tags: tuple[str, ...]) -> Iterator[Row]:
    """The rows of one object: pseudonyms, modality, body part and frame number, nothing that names anybody."""
    placement = made.placement
    for picture in made.pictures:
        record = Record(
            id=row_name(placement.instance, picture.frame),
            name=" ".join(filter(None, (placement.modality, placement.body_part))),
            tags=tags,
            thumbnail=picture.thumbnail,
            extra={**_pseudonyms(placement), "frame": str(picture.frame)},
        )
        yield Row(picture.vector, record, one.subject, one.basis)


def _report_row(one: Chosen, made: DicomWords, tags: tuple[str, ...]) -> Row:
    """The row of a report: a text like any other, and of which study it is."""
    (row,) = one.row_ids.values()
    about = describe(made.text, Record(id=row, tags=tags, extra=_pseudonyms(one.placement)))
    # Members could hold a hash of the whole text against their guesses of what is left out of it.
    return Row(made.vector, replace(about, content=b"", given=b""), one.subject, one.basis)


def _pseudonyms(placement: Placement) -> dict[str, str]:
    """What a record says of where its object stands."""
    extra = {
        STUDY: placement.study,
        "series": placement.series,
        "instance": placement.instance,
        "patient": placement.patient,
        "modality": placement.modality,
        "body_part": placement.body_part,
    }
    return {name: value for name, value in extra.items() if value}


def _with_bases(
    session: Session, place: Place, chosen: Sequence[Chosen], noise: Mechanism | None, given: Given
) -> Flow[list[Chosen]]:
    """Each object with whom it is about: the pseudonym of its patient, unless the caller says otherwise."""
    if isinstance(given.subject, (list, tuple)):
        raise InvalidInput("got a subject for each object; give one for all, or none: then it is each one's patient")
    subjects = [one.placement.patient for one in chosen]
    if given.subject is not None:
        subjects = list(subjects_of(given.subject, len(chosen)))
    bases = yield from consents.bases(session, place, replace(given, subject=subjects), len(chosen), noise)
    return [
        replace(one, subject=subject, basis=basis) for one, subject, basis in zip(chosen, subjects, bases, strict=True)
    ]


def _streams(chosen: Sequence[Chosen], rows_at_once: int) -> Iterator[list[Chosen]]:
    """Runs of objects with about as many rows as one stream is to have."""
    part: list[Chosen] = []
    for one in chosen:
        part.append(one)
        if sum(len(each.frames) for each in part) >= rows_at_once:
            yield part
            part = []
    if part:
        yield part
