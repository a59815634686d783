"""Everything that sources bring, enrolled: pictures, texts and vectors. What stands already as it is given is left.

Running it again enrols what is new, replaces what changed under its id, and leaves the rest. After a kill it goes on
where the last acknowledged stream ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unseen_client.bring.brought import Brought, stacked
from unseen_client.bring.sources import Choices, read_sources
from unseen_client.describing.describer import Describing
from unseen_client.flows import enrol, images, texts
from unseen_client.flows.consents import NOTHING, Given
from unseen_client.report import EnrolReport
from unseen_client.session import Session
from unseen_client.steps import Flow, local

if TYPE_CHECKING:
    from unseen.dp.mechanism import Mechanism

__all__ = ["Choices", "enrol_from"]


def enrol_from(
    session: Session,
    name: str,
    sources: Sequence[Path],
    choices: Choices,
    noise: Mechanism | None = None,
    given: Given = NOTHING,
    describing: Describing | None = None,
    deid_report: Path | None = None,
) -> Flow[EnrolReport]:
    """Enrol what the sources bring; the report covers all of it. Only pictures can be described."""
    brought = yield from local(partial(read_sources, sources, choices))
    report = EnrolReport((), (), (), 0)
    for flow in _enrolments(session, name, brought, noise, given, describing, deid_report):
        report = _together(report, (yield from flow))
    return report


def _enrolments(
    session: Session,
    name: str,
    brought: Brought,
    noise: Mechanism | None,
    given: Given,
    describing: Describing | None,
    deid_report: Path | None,
) -> Iterator[Flow[EnrolReport]]:
    if brought.pictures:
        paths, records = zip(*brought.pictures, strict=True)
        yield images.enrol_images(session, name, paths, records, noise, given, describing, deid_report, update=True)
    if brought.texts:
        words, records = zip(*brought.texts, strict=True)
        yield texts.enrol_texts(session, name, words, records, noise, given, update=True)
    if brought.vectors:
        vectors, records = zip(*brought.vectors, strict=True)
        ids = [record.id for record in records]
        yield enrol.enrol_vectors(session, name, ids, stacked(vectors), records, noise, given, update=True)


def _together(one: EnrolReport, other: EnrolReport) -> EnrolReport:
    return EnrolReport(
        one.ids + other.ids,
        one.already + other.already,
        one.refused + other.refused,
        one.faces_covered + other.faces_covered,
        one.replaced + other.replaced,
        one.duplicates + other.duplicates,
    )
