"""One enrolment stream: rows quantised or encrypted, their records sealed, cut into messages. On the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from unseen import params, wire
from unseen.entropy import random_uid
from unseen.errors import LimitExceeded
from unseen.he.quantise import quantise_rows
from unseen.types import CatalogueEntry, RowBatch
from unseen.v1 import index_pb2
from unseen_client.coordinates import as_coordinates, as_vector
from unseen_client.flows import owner
from unseen_client.flows.consents import Basis
from unseen_client.flows.sync import Place
from unseen_client.records import Record, row_id, seal_record
from unseen_client.report import ServerInfo
from unseen_client.retrieval.metric import kept

Float32Array = npt.NDArray[np.float32]

MESSAGE_BYTES = 1_000_000
"""A little less than the 1 MiB a message may have: field tags and lengths come on top."""
ROW_FRAMING_BYTES = 16
"""At most, for the tag and length of one sealed record."""
MOST_TRIES = 16
"""Of one stream or erasure whose block somebody else writes at the same time, again and again."""


@dataclass(frozen=True)
class Row:
    """One row before it is sealed: the record's id is set."""

    vector: Float32Array
    record: Record
    subject: str = ""
    """Who is charged when the vector is released with noise."""
    basis: Basis | None = None
    """What it rests on, where the collection has an agreement."""


def seal_stream(place: Place, server: ServerInfo, rows: Sequence[Row], *, as_kept: bool = False) -> list[Message]:
    """The messages of one enrolment stream under a fresh request id: a header, then batches of up to 1 MiB.

    ``as_kept``: the rows' vectors come from records of an owner-encrypted collection and stay what they are.
    """
    collection = place.collection
    numbers, sealed = _sealed_rows(place, server, rows, as_kept)
    placed = owner.placed(place, numbers) if place.is_owner else owner.Placed((), ())
    vectors = np.zeros((len(rows), 0), np.int16) if place.is_owner else numbers
    row_ids = [row_id(place.key.record_key, row.record.id) for row in rows]
    consented = [b"" if row.basis is None else row.basis.record_id for row in rows]
    header = index_pb2.EnrolHeader(
        request_id=random_uid(),
        collection_uid=collection.uid,
        parameter_id=collection.parameter_id,
        model_id=collection.model_id,
        policy_digest=b"" if rows[0].basis is None else rows[0].basis.policy_digest,
        purposes=[] if rows[0].basis is None else sorted(rows[0].basis.purposes),
        row_count=len(rows),
    )
    messages: list[Message] = [index_pb2.EnrolRowsRequest(header=header)]
    messages += [index_pb2.EnrolRowsRequest(block=wire.block_to_message(block)) for block in placed.blocks]
    for part in batches([len(record) for record in sealed], collection.dimension, server.max_message_bytes):
        of_part = (tuple(row_ids[part]), vectors[part], tuple(sealed[part]), tuple(consented[part]))
        batch = RowBatch(*of_part, placed.slots[part])
        messages.append(index_pb2.EnrolRowsRequest(batch=wire.batch_to_message(batch)))
    return messages


def entries_of(stream: Iterable[Message], epoch: int) -> Iterator[CatalogueEntry]:
    """The rows of a stream into an owner-encrypted collection, as the catalogue has them once they were written."""
    for message in stream:
        if isinstance(message, index_pb2.EnrolRowsRequest) and message.WhichOneof("part") == "batch":
            batch = message.batch
            each = zip(wire.split_row_ids(batch.row_ids), batch.slots, batch.sealed_records, strict=True)
            yield from (CatalogueEntry(row, slot, epoch, sealed) for row, slot, sealed in each)


def require_sendable(place: Place, server: ServerInfo, rows: Sequence[Row]) -> None:
    """Raise what ``seal_stream`` would raise, for whoever erases something first to have these rows in its place."""
    _sealed_rows(place, server, rows, as_kept=False)


def _sealed_rows(
    place: Place, server: ServerInfo, rows: Sequence[Row], as_kept: bool
) -> tuple[npt.NDArray[np.int16], list[bytes]]:
    """Rows as whole numbers (n, d), and their sealed records with the vectors that the collection keeps."""
    collection = place.collection
    stacked = np.stack([row.vector for row in rows])
    vectors_kept: Sequence[Float32Array | None] = [None] * len(rows)
    scale = 0
    if place.is_owner:
        # Records keep what is encrypted: a block that is written anew holds the same numbers.
        parameters = params.owner_by_id(collection.parameter_id)
        scale = parameters.row_scale
        numbers = as_coordinates(stacked, scale) if as_kept else quantise_rows(parameters, stacked)
        vectors_kept = list(as_vector(numbers, scale))
    else:
        numbers = quantise_rows(params.by_id(collection.parameter_id), stacked)
        if place.key.keep_vectors:
            vectors_kept = list(kept(place.metric, _unit(stacked)))
    each = zip(rows, vectors_kept, strict=True)
    return numbers, [_sealed(place, server, replace(row.record, vector=one), scale) for row, one in each]


def _unit(vectors: Float32Array) -> Float32Array:
    """Vectors (n, d) at unit length, so that float16 loses little whatever their scale was."""
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)


def _sealed(place: Place, server: ServerInfo, record: Record, scale: int) -> bytes:
    sealed = seal_record(place.key.record_key, place.collection.uid, record, scale)
    if len(sealed) > server.max_record_bytes:
        raise LimitExceeded(
            f"the record of row {record.id!r} has {len(sealed)} bytes sealed, this server takes "
            f"{server.max_record_bytes}; shorten its caption, extra fields or thumbnail"
        )
    return sealed


def batches(record_bytes: Sequence[int], dimension: int, most_message_bytes: int) -> Iterator[slice]:
    """Cut rows into runs that each fit one message."""
    most = min(MESSAGE_BYTES, most_message_bytes)
    start, size = 0, 0
    for at, length in enumerate(record_bytes):
        row_bytes = 16 + 2 * dimension + length + ROW_FRAMING_BYTES
        if size + row_bytes > most and at > start:
            yield slice(start, at)
            start, size = at, 0
        size += row_bytes
    yield slice(start, len(record_bytes))
