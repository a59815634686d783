"""The public calls as flows: one place for their defaults and for what their arguments may be. Does no network I/O.

``Client`` and ``AsyncClient`` have the same methods and drive what these give.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from unseen.audit.receipt import Receipt
from unseen.errors import InvalidVector
from unseen.params import ParameterSet
from unseen.types import CollectionInfo
from unseen_client.flows import audit, collections, enrol, images, operations, rows, similar
from unseen_client.records import Record
from unseen_client.report import EnrolReport, Hit, LogCheck, ServerInfo
from unseen_client.session import Session
from unseen_client.status import ServerStatus
from unseen_client.steps import Flow

AnyPath: TypeAlias = str | os.PathLike[str]


class Protocol:
    """Every public call of one client, as a flow to be driven."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def server_info(self) -> Flow[ServerInfo]:
        return collections.server_info(self._session)

    def create_collection(
        self,
        name: str,
        model: str | None,
        dimension: int | None,
        parameters: ParameterSet | str | None,
        keep_vectors: bool,
    ) -> Flow[CollectionInfo]:
        chosen = collections.parameter_set(parameters)
        return collections.create(self._session, name, model, dimension, chosen, keep_vectors)

    def collection(self, name: str) -> Flow[CollectionInfo]:
        return collections.get(self._session, name)

    def list_collections(self) -> Flow[list[CollectionInfo]]:
        return collections.list_all(self._session)

    def delete_collection(self, name: str) -> Flow[None]:
        return collections.delete(self._session, name)

    def enrol_images(
        self, name: str, paths: AnyPath | Iterable[AnyPath], records: Sequence[Record] | None
    ) -> Flow[EnrolReport]:
        several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        return images.enrol_images(self._session, name, [Path(path) for path in several], records)

    def enrol_vectors(
        self, name: str, ids: Sequence[str], vectors: npt.ArrayLike, records: Sequence[Record] | None
    ) -> Flow[EnrolReport]:
        return enrol.enrol_vectors(self._session, name, ids, as_vectors(vectors), records)

    def search_vector(self, name: str, vector: npt.ArrayLike, top_k: int) -> Flow[list[Hit]]:
        return similar.to_vector(self._session, name, as_vectors(vector), top_k)

    def search_image(self, name: str, path: AnyPath, top_k: int) -> Flow[list[Hit]]:
        return similar.to_image(self._session, name, Path(path), top_k)

    def search_text(self, name: str, text: str, top_k: int) -> Flow[list[Hit]]:
        return similar.to_text(self._session, name, text, top_k)

    def search_like(self, name: str, row: str, top_k: int) -> Flow[list[Hit]]:
        return similar.to_row(self._session, name, row, top_k)

    def count(self, name: str) -> Flow[int]:
        return rows.count(self._session, name)

    def list(self, name: str, limit: int | None, offset: int) -> Flow[Records]:
        return rows.list_records(self._session, name, limit, offset)

    def get(self, name: str, row: str) -> Flow[Record]:
        return rows.get_record(self._session, name, row)

    def erase(self, name: str, ids: str | Iterable[str]) -> Flow[int]:
        several = [ids] if isinstance(ids, str) else ids
        return rows.erase(self._session, name, tuple(dict.fromkeys(several)))

    def status(self) -> Flow[ServerStatus]:
        return operations.status(self._session)

    def audit_check(self) -> Flow[LogCheck]:
        return audit.check(self._session)

    def audit_prove(self, receipt: Receipt) -> Flow[LogCheck]:
        return audit.prove(self._session, receipt)

    def audit_export(self, write: audit.Write, since: datetime | None, against: Sequence[str]) -> Flow[LogCheck]:
        return audit.export(self._session, write, milliseconds(since), against)

    def audit_receipts(self) -> Flow[Receipts]:
        return audit.receipts(self._session)

    def audit_accept(self) -> Flow[LogCheck]:
        return audit.accept(self._session)


def milliseconds(moment: datetime | None) -> int:
    """Since 1970, 0 for None; a moment without a time zone is this machine's."""
    return 0 if moment is None else max(0, int(moment.timestamp() * 1000))


Receipts: TypeAlias = list[Receipt]
Records: TypeAlias = list[Record]
"""What ``list`` gives; named, because inside the classes ``list`` is the method."""


def as_vectors(vectors: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Anything that is numbers, as float32; raises InvalidVector for what is not."""
    try:
        return np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidVector("got something that is not an array of numbers; give float32 (n, d), or (d,)") from error
