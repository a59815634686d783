"""Texts on their way in: reports, papers, descriptions become rows beside pictures, so that one query finds both.

A text is embedded on this device. Its beginning goes into the sealed record, the whole of it nowhere. A text that the
model cannot take is reported with the reason; the others go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import InvalidInput, ModelMismatch
from unseen_client.flows import consents
from unseen_client.flows.consents import NOTHING, Given
from unseen_client.flows.enrol import Enrolment, require_one_each, standing_of, subjects_of
from unseen_client.flows.enrol_stream import Row
from unseen_client.flows.model import preparer_of
from unseen_client.flows.standing import as_given
from unseen_client.flows.sync import open_current
from unseen_client.records import CONTENT_ID_DIGITS, Record
from unseen_client.report import EnrolReport, Refusal
from unseen_client.session import Session
from unseen_client.steps import Flow, Progress, local

if TYPE_CHECKING:
    from unseen.dp.mechanism import Mechanism

TEXTS_PER_STREAM = 200
KEPT_CHARACTERS = 2000
"""Of a text without a caption so much stands in its record; a record may have 64 KiB."""
NAME_CHARACTERS = 60
KIND, TEXT = "kind", "text"
"""What a record says in ``extra``, so that `--where "kind = text"` finds texts alone, and != pictures."""


def enrol_texts(
    session: Session,
    name: str,
    texts: Sequence[str],
    records: Sequence[Record] | None,
    noise: Mechanism | None = None,
    given: Given = NOTHING,
    *,
    update: bool = False,
) -> Flow[EnrolReport]:
    """Enrol texts; those that are there already and those refused are reported.

    ``update``: rows that are there with another text or description are erased and enrolled anew.
    """
    require_one_each("texts", len(texts), records)
    subjects = subjects_of(given.subject, len(texts))
    place = yield from open_current(session, name)
    preparer = yield from preparer_of(session, place.collection)
    if is_dicom_model(place.collection.model_id):
        raise ModelMismatch(f"collection {name!r} holds pictures that were made of DICOM objects; texts need another")
    bases = yield from consents.bases(session, place, given, len(texts), noise)
    enrolment = Enrolment(session, place, len(texts), noise, (yield from standing_of(place, update)))
    refused: list[Refusal] = []
    described = records or [Record()] * len(texts)
    at_once = enrolment.at_once(TEXTS_PER_STREAM)
    for start in range(0, len(texts), at_once):
        rows: list[Row] = []
        stop = min(start + at_once, len(texts))
        for at in range(start, stop):
            source = described[at].id or f"text {at + 1}"
            try:
                record = describe(texts[at], described[at])
                if not (yield from enrolment.needs(source, record)):
                    continue
                vector = yield from local(partial(preparer.text_row, texts[at]))
            except InvalidInput as error:
                refused.append(Refusal(source, error.code, str(error)))
                continue
            rows.append(Row(vector, record, subjects[at], bases[at]))
        yield from enrolment.send(rows)
        yield Progress(stop, len(texts), "texts")
    return replace(enrolment.report(), refused=tuple(refused))


def describe(text: str, record: Record) -> Record:
    """The record with what is empty filled in from the text; raises InvalidInput for what is no text."""
    if not text.strip():
        raise InvalidInput("got a text without words in it, expected something to embed")
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    filled = replace(
        record,
        id=record.id or digest.hex()[:CONTENT_ID_DIGITS],
        name=record.name or text.strip().splitlines()[0][:NAME_CHARACTERS],
        caption=record.caption or text[:KEPT_CHARACTERS],
        extra={KIND: TEXT, **record.extra},
        content=digest,
    )
    return as_given(filled)
