"""Tags for pictures and rows, and questions about a row's picture: all of it on this device.

The server learns that this client looked at the collection, and where rows are asked for, a synchronisation; nothing of
pictures, tags, questions or answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unseen.errors import ImageRefused, InvalidInput, InvalidVector, UnseenError
from unseen_client.describing.language_model import LanguageModel, answer
from unseen_client.describing.tagger import Tagger
from unseen_client.describing.vocabulary import MOST_CHANCE, Vocabulary
from unseen_client.flows import rows
from unseen_client.flows.model import preparer_of
from unseen_client.flows.sync import open_current, open_place
from unseen_client.records import CONTENT_ID_DIGITS, Record
from unseen_client.report import Refusal, Tagged
from unseen_client.session import Session
from unseen_client.source_file import opened_source
from unseen_client.steps import Flow, Progress, local

if TYPE_CHECKING:
    from unseen_client.prepare import Preparer

PATH = "path"
"""The field of ``extra`` that may say where a row's picture lies on this device; else its link does."""
_HASH = re.compile(f"[0-9a-f]{{{CONTENT_ID_DIGITS}}}")
"""The id of a row whose enroller gave none, also before records said what they were made from."""


def tag_pictures(
    session: Session, name: str, paths: Sequence[Path], vocabulary: Vocabulary, most_chance: float = MOST_CHANCE
) -> Flow[list[Tagged]]:
    """Tags of image files, faces covered first; nothing is enrolled. What a step refuses says why."""
    place = yield from open_place(session, name)
    preparer = yield from preparer_of(session, place.collection)
    tagger = yield from local(partial(Tagger, preparer, vocabulary, most_chance))
    found: list[Tagged] = []
    for path in paths:
        found.append((yield from local(partial(_tagged, preparer, tagger, path))))
        yield Progress(len(found), len(paths), "images")
    return found


def tag_rows(
    session: Session, name: str, ids: Sequence[str] | None, vocabulary: Vocabulary, most_chance: float = MOST_CHANCE
) -> Flow[list[Tagged]]:
    """Tags of rows, None for all, from the vectors in their records; the rows stay as they are. RowNotFound."""
    place = yield from open_current(session, name)
    preparer = yield from preparer_of(session, place.collection)
    tagger = yield from local(partial(Tagger, preparer, vocabulary, most_chance))
    if ids is None:
        records = yield from rows.list_records(session, name, None, 0)
    else:
        records = yield from local(lambda: [rows.read_record(place, row) for row in ids])
    return (yield from local(lambda: [Tagged(one.id, tuple(tagger.tags(_vector(one)))) for one in records]))


def ask(session: Session, name: str, row: str, question: str, model: LanguageModel, picture: Path | None) -> Flow[str]:
    """What a language model on this device says about the picture of a row; RowNotFound, InvalidInput, ImageRefused."""
    place = yield from open_current(session, name)
    record = yield from local(lambda: rows.read_record(place, row))
    preparer = yield from preparer_of(session, place.collection)
    path = yield from local(partial(_picture_of, record, picture))
    return (yield from local(lambda: answer(model, preparer.image(path).covered, question)))


def _tagged(preparer: Preparer, tagger: Tagger, path: Path) -> Tagged:
    try:
        return Tagged(str(path), tuple(tagger.tags(preparer.image(path).vector)))
    except (UnseenError, OSError) as error:
        code = error.code if isinstance(error, UnseenError) else InvalidInput.code
        return Tagged(str(path), refusal=Refusal(str(path), code, str(error)))


def _vector(record: Record) -> npt.NDArray[np.float32]:
    if record.vector is None:
        raise InvalidVector("rows of this collection keep no vector in their records; tag the pictures instead")
    return record.vector


def _picture_of(record: Record, given: Path | None) -> Path:
    """The file on this device that a row was made of; raises InvalidInput when there is none, or it is another now.

    A record comes from whoever may enrol: the file that it names is opened as a picture only, and where the record says
    what it was made from, or the row's id does, only when the file is that very one.
    """
    named = record.extra.get(PATH) or record.link.removeprefix("file://")
    path = given or Path(named or ".")
    made_from = record.content.hex() or (record.id if _HASH.fullmatch(record.id) else "")
    try:
        with opened_source(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except ImageRefused as error:
        raise InvalidInput(
            "the picture of this row cannot be read on this device: give its file; its record's extra['path'] and its "
            "link name none here"
        ) from error
    if not found.startswith(made_from):
        raise InvalidInput("the file is not the one that this row was made of; give the file that was enrolled")
    return path
