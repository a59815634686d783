"""What can be searched for: vectors, pictures, words, more like rows that are there, and sums of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import InvalidInput, InvalidVector
from unseen_client.flows import collections, rows
from unseen_client.flows.model import preparer_of
from unseen_client.flows.search import Wanted, search, study_of
from unseen_client.flows.sync import Place, open_current, open_place
from unseen_client.records import Record, row_id
from unseen_client.report import Hit
from unseen_client.retrieval.choice import Choice
from unseen_client.retrieval.fuse import MadePart, fused, weighed
from unseen_client.retrieval.query import Like, Part, Picture, Query, Vector, Words
from unseen_client.session import Session
from unseen_client.steps import Flow, local

if TYPE_CHECKING:
    from unseen_client.prepare import Preparer


def to_query(session: Session, name: str, query: Query, choice: Choice, purpose: str = "") -> Flow[list[Hit]]:
    """The best rows for a query of any parts; rows that it names are left out."""
    if not query.parts:
        raise InvalidInput(
            "got no query; put one together from Query.words, Query.picture, Query.vector and Query.like"
        )
    named = dict.fromkeys(part.content.id for part in query.parts if isinstance(part.content, Like))
    # One look for changes, however many rows are named: the server cannot count them.
    place = yield from (open_current if named else open_place)(session, name)
    liked = yield from local(lambda: {row: rows.read_record(place, row) for row in named})
    parts: list[MadePart] = []
    for part in query.parts:
        made = yield from _made(session, place, part, liked)
        parts.append(made)
    whole = yield from local(partial(fused, place.metric, parts))
    without = frozenset(row_id(place.key.record_key, row) for row in named)
    return (yield from search(session, name, Wanted(whole, choice, without, purpose, _studies(place, liked.values()))))


def _studies(place: Place, liked: Iterable[Record]) -> frozenset[str]:
    """The studies of DICOM rows that more like is wanted of; none in other collections."""
    return frozenset(map(study_of, liked)) if is_dicom_model(place.collection.model_id) else frozenset()


def _made(session: Session, place: Place, part: Part, liked: Mapping[str, Record]) -> Flow[MadePart]:
    """One part as a vector, with what makes a score of it."""
    content, scale = part.content, 1.0
    if isinstance(content, Like):
        vector = _row_vector(place, content.id, liked[content.id])
    elif isinstance(content, Vector):
        vector = _own_vector(place, content.vector)
    else:
        preparer = yield from preparer_of(session, place.collection)
        vector, scale = yield from local(partial(_from_model, session, place, preparer, content))
    if part.facets is None:
        return MadePart(vector, part.weight, scale)
    preparer = yield from preparer_of(session, place.collection)
    chosen = weighed(vector, preparer.facets, part.facets)
    return MadePart(chosen, part.weight, float(np.linalg.norm(chosen)))


def _from_model(
    session: Session, place: Place, preparer: Preparer, content: Words | Picture
) -> tuple[npt.NDArray[np.float32], float]:
    """The vector of words or a picture, and what its score is multiplied with to be a cosine.

    Where rows are of DICOM objects, a DICOM object goes the way that they went; of several frames the middle one.
    """
    if isinstance(content, Words):
        return preparer.text(content.text), preparer.text_score_scale
    path = Path(content.path)
    if is_dicom_model(place.collection.model_id):
        from unseen_client.dicom.source import DicomFile, is_dicom

        if is_dicom(file := DicomFile(path)):
            return session.dicom_preparer(place.collection.model_id).query(file), 1.0
    return preparer.image(path).vector, 1.0


def _row_vector(place: Place, row: str, record: Record) -> npt.NDArray[np.float32]:
    """The vector in a row's record; raises InvalidInput."""
    if record.vector is None:
        raise InvalidInput(
            f"row {row!r} keeps no vector, so there is nothing to compare with; search with the image or the vector, "
            "or create collections with keep_vectors=True"
        )
    return _own_vector(place, record.vector)


def _own_vector(place: Place, given: npt.ArrayLike) -> npt.NDArray[np.float32]:
    vector = collections.as_vectors(given)
    if vector.shape != (place.dimension,):
        raise InvalidVector(
            f"got a query of shape {vector.shape}; collection {place.collection.name!r} takes ({place.dimension},)"
        )
    return vector
