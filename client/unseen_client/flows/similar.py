"""What can be searched for: a vector, an image, words, or more like a row that is there. Made into a vector here."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import InvalidInput
from unseen_client.flows import collections, rows
from unseen_client.flows.search import STUDY, Wanted, preparer_of, search
from unseen_client.flows.sync import open_place
from unseen_client.records import row_id
from unseen_client.report import Hit
from unseen_client.session import Session
from unseen_client.steps import Flow, local


def to_vector(session: Session, name: str, vector: npt.ArrayLike, top_k: int, purpose: str = "") -> Flow[list[Hit]]:
    """The rows nearest to a vector, by cosine."""
    return (yield from search(session, name, Wanted(np.asarray(vector, dtype=np.float32), top_k, purpose=purpose)))


def to_image(session: Session, name: str, path: Path, top_k: int, purpose: str = "") -> Flow[list[Hit]]:
    """The rows nearest to an image file, which is de-identified like any other before it becomes a vector.

    Where rows are of DICOM objects, a DICOM object goes the way that they went; of several frames the middle one.
    """
    collection = yield from collections.get_known(session, name)
    preparer = yield from preparer_of(session, collection)
    if is_dicom_model(collection.model_id):
        vector = yield from local(partial(_object_vector, session, collection.model_id, path))
        if vector is not None:
            return (yield from search(session, name, Wanted(vector, top_k, purpose=purpose)))
    image = yield from local(lambda: preparer.image(path))
    return (yield from search(session, name, Wanted(image.vector, top_k, purpose=purpose)))


def to_text(session: Session, name: str, text: str, top_k: int, purpose: str = "") -> Flow[list[Hit]]:
    """The rows nearest to words."""
    collection = yield from collections.get_known(session, name)
    preparer = yield from preparer_of(session, collection)
    vector = yield from local(lambda: preparer.text(text))
    return (yield from search(session, name, Wanted(vector, top_k, preparer.text_score_scale, purpose=purpose)))


def to_row(session: Session, name: str, row: str, top_k: int, purpose: str = "") -> Flow[list[Hit]]:
    """The rows nearest to an enrolled one, itself left out."""
    record = yield from rows.get_record(session, name, row)
    if record.vector is None:
        raise InvalidInput(
            f"row {row!r} keeps no vector, so there is nothing to compare with; search with the image or the vector, "
            "or create collections with keep_vectors=True"
        )
    place = yield from open_place(session, name)
    itself = row_id(place.key.record_key, row)
    wanted = Wanted(record.vector, top_k, without=itself, purpose=purpose, without_study=record.extra.get(STUDY, ""))
    return (yield from search(session, name, wanted))


def _object_vector(session: Session, model_id: str, path: Path) -> npt.NDArray[np.float32] | None:
    """The vector of a DICOM object; None for another file."""
    from unseen_client.dicom.prepare import is_dicom

    return session.dicom_preparer(model_id).query(path) if is_dicom(path) else None
