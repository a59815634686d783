"""Records <-> protobuf, and errors <-> gRPC status. The only hand-written core file that knows protobuf.

Both sides convert here, at their edge, so that nothing else has to know how a message looks. What comes from the other
side is checked for shape before it becomes a record: lengths, counts, types; MalformedMessage says what was wrong.
No text of a message, and nothing it carries, is repeated in an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from unseen import errors
from unseen.errors import MalformedMessage, UnseenError
from unseen.types import UID_BYTES, CatalogueEntry, CollectionInfo, EncryptedBlock, RowBatch
from unseen.v1 import index_pb2, types_pb2

CODE_METADATA_KEY = "unseen-code"
"""Trailing metadata key that carries an error's stable code."""
RETRY_METADATA_KEY = "unseen-retry-after-s"
"""Trailing metadata key that carries the seconds after which the same request may succeed, as a decimal."""
NO_CONSENT = bytes(UID_BYTES)
"""Stands for a row without a consent among rows that have one."""
EPOCH_LIMIT = 1 << 63
"""Stores and mirrors keep epochs as signed 64-bit integers."""
MAX_CHUNK_BYTES = 1 << 20
"""Most bytes of a query or a reply in one message: larger messages are slower, not faster (docs/protocol.md)."""

GRPC_STATUS: dict[type[UnseenError], str] = {
    errors.UnseenError: "UNKNOWN",
    errors.InvalidInput: "INVALID_ARGUMENT",
    errors.InvalidName: "INVALID_ARGUMENT",
    errors.InvalidVector: "INVALID_ARGUMENT",
    errors.MalformedMessage: "INVALID_ARGUMENT",
    errors.UnsafeParameters: "INVALID_ARGUMENT",
    errors.InvalidConfiguration: "INVALID_ARGUMENT",
    errors.UnsupportedEvent: "INVALID_ARGUMENT",
    errors.InvalidDocument: "INVALID_ARGUMENT",
    errors.ImageRefused: "FAILED_PRECONDITION",
    errors.NotFound: "NOT_FOUND",
    errors.CollectionNotFound: "NOT_FOUND",
    errors.RowNotFound: "NOT_FOUND",
    errors.PolicyNotFound: "NOT_FOUND",
    errors.ConsentNotFound: "NOT_FOUND",
    errors.AlreadyExists: "ALREADY_EXISTS",
    errors.CollectionExists: "ALREADY_EXISTS",
    errors.RowExists: "ALREADY_EXISTS",
    errors.Mismatch: "FAILED_PRECONDITION",
    errors.ParameterMismatch: "FAILED_PRECONDITION",
    errors.ModelMismatch: "FAILED_PRECONDITION",
    errors.PackingChanged: "ABORTED",
    errors.BlockChanged: "ABORTED",
    errors.MethodUnknown: "UNIMPLEMENTED",
    errors.NotAuthenticated: "UNAUTHENTICATED",
    errors.NotPermitted: "PERMISSION_DENIED",
    errors.PolicyRefused: "FAILED_PRECONDITION",
    errors.PolicyNotAccepted: "FAILED_PRECONDITION",
    errors.PurposeNotAllowed: "FAILED_PRECONDITION",
    errors.ConsentNotValid: "FAILED_PRECONDITION",
    errors.OnLegalHold: "FAILED_PRECONDITION",
    errors.ClockUncertain: "FAILED_PRECONDITION",
    errors.RequestReplayed: "FAILED_PRECONDITION",
    errors.LimitExceeded: "RESOURCE_EXHAUSTED",
    errors.QuotaExceeded: "RESOURCE_EXHAUSTED",
    errors.BudgetExceeded: "RESOURCE_EXHAUSTED",
    errors.NothingGained: "FAILED_PRECONDITION",
    errors.ServerBusy: "RESOURCE_EXHAUSTED",
    errors.ServerUnavailable: "UNAVAILABLE",
    errors.DeadlineExceeded: "DEADLINE_EXCEEDED",
    errors.IntegrityError: "DATA_LOSS",
    errors.SealBroken: "DATA_LOSS",
    errors.WrongKey: "DATA_LOSS",
    errors.ProofBroken: "DATA_LOSS",
    errors.LogWentBack: "DATA_LOSS",
    errors.ReplyRefused: "DATA_LOSS",
    errors.ControllerChanged: "DATA_LOSS",
    errors.KeyMissing: "FAILED_PRECONDITION",
    errors.KeyServiceFailed: "INTERNAL",
    errors.UsedTwice: "FAILED_PRECONDITION",
    errors.AuditUnavailable: "UNAVAILABLE",
    errors.StoreFailed: "INTERNAL",
}
"""The one table from error to gRPC status, by name. UNAVAILABLE is what a client may retry, RESOURCE_EXHAUSTED after
the time that comes with it."""


# Errors


def grpc_status_name(error: UnseenError) -> str:
    """Name of the gRPC status for an error; a leaf that the table lacks gets its parent's."""
    return next(GRPC_STATUS[kind] for kind in type(error).__mro__ if kind in GRPC_STATUS)


def error_from(code: str, message: str, retry_after_s: float | None = None) -> UnseenError:
    """The error that the other side raised, rebuilt from its code; an unknown code gives the root class."""
    kinds = {kind.code: kind for kind in _error_tree(UnseenError)}
    return kinds.get(code, UnseenError)(message, retry_after_s=retry_after_s)


def _error_tree(root: type[UnseenError]) -> Iterator[type[UnseenError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _error_tree(kind)


# Identifiers


def require_uid(value: bytes, what: str) -> bytes:
    """Pass 16 bytes through; MalformedMessage for any other length. ``what`` names the field for the caller."""
    if len(value) != UID_BYTES:
        raise MalformedMessage(f"{what} has {len(value)} bytes, it needs {UID_BYTES}")
    return value


def join_row_ids(row_ids: Sequence[bytes]) -> bytes:
    """Sixteen bytes a row, one after the other."""
    return b"".join(require_uid(row_id, "a row id") for row_id in row_ids)


def split_row_ids(data: bytes) -> tuple[bytes, ...]:
    """The row ids of a message; MalformedMessage when the bytes do not divide by sixteen."""
    if len(data) % UID_BYTES:
        raise MalformedMessage(f"row ids have {len(data)} bytes, that is not a multiple of {UID_BYTES}")
    return tuple(data[start : start + UID_BYTES] for start in range(0, len(data), UID_BYTES))


# Epochs


def require_epoch(value: int, what: str) -> int:
    """Pass an epoch through; MalformedMessage for one that no store can hold (2^63 and above)."""
    if value >= EPOCH_LIMIT:
        raise MalformedMessage(f"{what} at epoch {value} cannot be; epochs end below {EPOCH_LIMIT}")
    return value


# Collections


def collection_to_message(info: CollectionInfo) -> types_pb2.CollectionInfo:
    """A collection as it travels."""
    return types_pb2.CollectionInfo(
        uid=info.uid,
        name=info.name,
        dimension=info.dimension,
        parameter_id=info.parameter_id,
        model_id=info.model_id,
        packing_factor=info.packing_factor,
        rows=info.rows,
        slots=info.slots,
        epoch=info.epoch,
    )


def collection_from_message(message: types_pb2.CollectionInfo) -> CollectionInfo:
    """A collection as it arrived; MalformedMessage when its numbers cannot be."""
    if not message.dimension or not message.packing_factor or message.rows > message.slots:
        raise MalformedMessage(
            f"a collection of dimension {message.dimension}, packing factor {message.packing_factor}, "
            f"{message.rows} rows in {message.slots} slots cannot be"
        )
    return CollectionInfo(
        uid=require_uid(message.uid, "a collection's uid"),
        name=message.name,
        dimension=message.dimension,
        parameter_id=message.parameter_id,
        model_id=message.model_id,
        packing_factor=message.packing_factor,
        rows=message.rows,
        slots=message.slots,
        epoch=require_epoch(message.epoch, "a collection"),
    )


# Rows


def batch_to_message(batch: RowBatch) -> index_pb2.EnrolBatch:
    """Quantised rows as they travel: int16 little-endian, one row after the other."""
    return index_pb2.EnrolBatch(
        row_ids=join_row_ids(batch.row_ids),
        vectors=np.ascontiguousarray(batch.vectors, dtype="<i2").tobytes(),
        sealed_records=batch.sealed_records,
        consents=_join_consents(batch.consents),
        slots=batch.slots,
    )


def batch_from_message(message: index_pb2.EnrolBatch, dimension: int, moves: bool = False) -> RowBatch:
    """Rows as they arrived, (n, dimension) with n >= 1; MalformedMessage when lengths and counts do not agree.

    ``moves``: they are there already, and come with slots and without records.
    """
    row_ids = split_row_ids(message.row_ids)
    if not row_ids:
        raise MalformedMessage("an enrolment batch without rows; leave it out")
    expected_bytes = len(row_ids) * dimension * 2
    if len(message.vectors) != expected_bytes:
        raise MalformedMessage(
            f"{len(row_ids)} rows of dimension {dimension} have {expected_bytes} bytes of vectors, "
            f"got {len(message.vectors)}"
        )
    records = 0 if moves else len(row_ids)
    if len(message.sealed_records) != records:
        raise MalformedMessage(f"{len(row_ids)} rows need {records} sealed records, got {len(message.sealed_records)}")
    consents = _split_consents(message.consents)
    if consents and len(consents) != len(row_ids):
        raise MalformedMessage(f"{len(row_ids)} rows need as many consents or none at all, got {len(consents)}")
    vectors = np.frombuffer(message.vectors, dtype="<i2").astype(np.int16, copy=False).reshape(len(row_ids), dimension)
    if len(message.slots) not in (0, len(row_ids)):
        raise MalformedMessage(f"{len(row_ids)} rows need as many slots or none at all, got {len(message.slots)}")
    return RowBatch(row_ids, vectors, tuple(message.sealed_records), consents, tuple(message.slots), (), moves)


def block_to_message(block: EncryptedBlock) -> index_pb2.EncryptedBlock:
    """A block of an owner-encrypted collection as it travels."""
    return index_pb2.EncryptedBlock(number=block.number, known_epoch=block.known_epoch, ciphertexts=block.ciphertexts)


def block_from_message(message: index_pb2.EncryptedBlock) -> EncryptedBlock:
    """A block as it arrived; MalformedMessage for an impossible epoch. Its bytes are looked at where they are used."""
    return EncryptedBlock(message.number, require_epoch(message.known_epoch, "a block"), message.ciphertexts)


def _join_consents(consents: Sequence[bytes]) -> bytes:
    return join_row_ids([consent or NO_CONSENT for consent in consents]) if any(consents) else b""


def _split_consents(data: bytes) -> tuple[bytes, ...]:
    consents = tuple(b"" if consent == NO_CONSENT else consent for consent in split_row_ids(data))
    return consents if any(consents) else ()


# The catalogue


def entry_to_message(entry: CatalogueEntry) -> types_pb2.CatalogueEntry:
    """One live row as it travels."""
    return types_pb2.CatalogueEntry(
        row_id=entry.row_id, slot=entry.slot, epoch=entry.epoch, sealed_record=entry.sealed_record
    )


def entry_from_message(message: types_pb2.CatalogueEntry) -> CatalogueEntry:
    """One live row as it arrived; MalformedMessage for a row id of another length or an impossible epoch."""
    return CatalogueEntry(
        row_id=require_uid(message.row_id, "a row id"),
        slot=message.slot,
        epoch=require_epoch(message.epoch, "a row"),
        sealed_record=message.sealed_record,
    )
