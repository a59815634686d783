"""Records: what a row is to people. Sealed here, on the device; a server sees a random-looking id and a padded length.

Held by members of the collection (whoever has its record key). Leaks: the sealed length, in steps of 256 bytes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from unseen import envelope
from unseen.dp.event import Event
from unseen.errors import InvalidInput, SealBroken
from unseen.types import UID_BYTES
from unseen.v1 import record_pb2
from unseen_client.coordinates import as_coordinates, as_vector, read_coordinates, write_coordinates

PAD_TO_BYTES = 256
"""Lengths are hidden up to this: short captions and names all look alike."""
LONGEST_ID_CHARACTERS = 512
"""An id is a handle, not a document."""
CONTENT_ID_DIGITS = 16
"""Of the SHA-256, in hex, that names a row whose caller did not."""
_PAD_MARK = b"\x80"


@dataclass(frozen=True)
class Record:
    """What members see of a row. Everything but the id may be empty."""

    id: str = ""
    """The caller's own name of the row; for images, when empty, 16 hex digits of SHA-256 of the file."""
    name: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    link: str = ""
    thumbnail: bytes = field(default=b"", repr=False)
    """A small JPEG, made after de-identification."""
    vector: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    """The row's unit vector (kept as float16, or as it is encrypted where the owner encrypts), with its noise if it has
    any; None when the collection keeps none."""
    extra: Mapping[str, str] = field(default_factory=dict)
    noise: Event | None = None
    """The noise that the row's vector carries, as the enrolling device says. Set by enrolment, whatever stood here."""
    content: bytes = field(default=b"", repr=False)
    """SHA-256 of the file, text or vector that the row was made from, or empty. Set by enrolment."""
    given: bytes = field(default=b"", repr=False)
    """SHA-256 of the record as it was given, before anything was found for it, or empty. Set by enrolment."""


def require_id(row: object) -> str:
    """Pass an id through that can name a row; raises InvalidInput for an empty, overlong or non-text one."""
    if isinstance(row, str) and 0 < len(row) <= LONGEST_ID_CHARACTERS:
        if not _is_unicode(row):
            raise InvalidInput("an id is Unicode text; got half a character in it, write it as UTF-8")
        return row
    got = f"{len(row)} characters" if isinstance(row, str) else type(row).__name__
    raise InvalidInput(f"an id is text of 1 to {LONGEST_ID_CHARACTERS} characters; got {got}")


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold it: a file's name in another encoding, or JSON, may bring half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def row_id(record_key: bytes, row: str) -> bytes:
    """The sixteen bytes that the server knows the row by: the same for the same id, and nothing else to go by."""
    return hmac.digest(record_key, b"row-id" + require_id(row).encode(), "sha256")[:UID_BYTES]


def seal_record(record_key: bytes, collection_uid: bytes, record: Record, scale: int = 0) -> bytes:
    """Encrypt a record for the members of one collection, bound to its row; ``scale`` as for ``encode_record``."""
    where = _context(collection_uid, row_id(record_key, record.id))
    return envelope.seal(record_key, pad(encode_record(record, scale)), where)


def open_record(record_key: bytes, collection_uid: bytes, row: bytes, sealed: bytes) -> Record:
    """Decrypt the record of row ``row``; raises SealBroken when it was altered, cut or belongs to another row."""
    plain = unpad(envelope.open_sealed(record_key, sealed, _context(collection_uid, row)))
    try:
        return decode_record(plain)
    except (DecodeError, ValueError) as error:
        raise SealBroken("the record opened but does not parse; it was sealed by another version of Unseen") from error


def encode_record(record: Record, scale: int = 0) -> bytes:
    """The record as protobuf bytes, the same bytes every time; raises InvalidInput for text that is no Unicode.

    ``scale``: of a vector whose numbers are whole multiples of 1 / scale, and are kept exactly; else 0.
    """
    vector = coordinates = b""
    if record.vector is not None and scale:
        coordinates = write_coordinates(as_coordinates(record.vector, scale), scale)
    elif record.vector is not None:
        vector = np.asarray(record.vector, dtype="<f2").tobytes()
    try:
        message = _message(record, vector, coordinates)
    except UnicodeEncodeError as error:
        raise InvalidInput("got a record with half a Unicode character in its text; write it as UTF-8") from error
    return message.SerializeToString(deterministic=True)


def _message(record: Record, vector: bytes, coordinates: bytes) -> record_pb2.Record:
    return record_pb2.Record(
        id=require_id(record.id),
        name=record.name,
        caption=record.caption,
        tags=record.tags,
        link=record.link,
        thumbnail=record.thumbnail,
        vector=vector,
        coordinates=coordinates,
        extra=record.extra,
        noise=_noise_message(record.noise),
        content=record.content,
        given=record.given,
    )


def decode_record(data: bytes) -> Record:
    """The inverse of ``encode_record``, the vector as float32; DecodeError or ValueError for anything else."""
    message = record_pb2.Record.FromString(data)
    vector = np.frombuffer(message.vector, dtype="<f2").astype(np.float32) if message.vector else None
    if message.coordinates:
        vector = as_vector(*read_coordinates(message.coordinates))
    return Record(
        id=message.id,
        name=message.name,
        caption=message.caption,
        tags=tuple(message.tags),
        link=message.link,
        thumbnail=message.thumbnail,
        vector=vector,
        extra=dict(message.extra),
        noise=_noise_event(message.noise) if message.HasField("noise") else None,
        content=message.content,
        given=message.given,
    )


def _noise_message(event: Event | None) -> record_pb2.Noise | None:
    if event is None:
        return None
    return record_pb2.Noise(
        mechanism=event.mechanism,
        version=event.version,
        epsilon=event.epsilon,
        delta=event.delta,
        parameters=dict(event.parameters),
        unit=event.unit,
        neighbouring=event.neighbouring,
    )


def _noise_event(message: record_pb2.Noise) -> Event:
    """The event as it was sealed; it is shown to people, not accounted for, so an unknown mechanism is fine."""
    return Event(
        mechanism=message.mechanism,
        version=message.version,
        epsilon=message.epsilon,
        delta=message.delta,
        parameters=tuple(sorted(message.parameters.items())),
        unit=message.unit,
        neighbouring=message.neighbouring,
    )


def pad(plain: bytes) -> bytes:
    """Append 0x80 and zeros up to a multiple of PAD_TO_BYTES (ISO/IEC 7816-4)."""
    marked = plain + _PAD_MARK
    return marked + b"\x00" * (-len(marked) % PAD_TO_BYTES)


def unpad(padded: bytes) -> bytes:
    """The inverse of ``pad``; raises SealBroken when the mark is missing."""
    plain, mark, _ = padded.rpartition(_PAD_MARK)
    if not mark:
        raise SealBroken("the record opened but has no end mark; it was sealed by another version of Unseen")
    return plain


def _context(collection_uid: bytes, row: bytes) -> bytes:
    return envelope.context("record", collection_uid, row)
