"""Bytes of the encrypted search and of the contract, as a server takes them and as a client does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bench.fuzz.target import Run, Target
from bench.protobuf_bytes import each_in_a_row, in_a_row, parsed
from bench.right_query import right_query
from unseen import params, wire
from unseen.errors import MalformedMessage, ServerUnavailable, UnseenError
from unseen.he import bits, compiled_bits
from unseen.he.message import query_bytes, read_query, read_reply_blocks, reply_block_bytes
from unseen.he.owner import message as owner_message
from unseen.he.packing import Packing
from unseen.v1 import index_pb2, operations_pb2, search_pb2, types_pb2
from unseen_client.flows.reply import Reply
from unseen_client.status import ServerStatus

DEGREE = 256
PARAMETERS = replace(params.DEFAULT, name="n256", ring_degree=DEGREE)
"""The published set but for a ring eight times as small: the same code at an eighth of the cost."""
PACKING = Packing(DEGREE, 8, 8)
WIDE = Packing(DEGREE, 8, 1)
OWNER = replace(params.OWNER_DEFAULT, name="owner_n256", ring_degree=DEGREE)
DIMENSION = 8


def fitted(data: bytes, length: int) -> bytes:
    """Cut or repeated to a length: what stands behind the check of lengths must be reached."""
    return (data * (length // max(len(data), 1) + 1))[:length] if data else bytes(length)


def query(data: bytes) -> None:
    """The first byte chooses the length: as it is, or the one that a query has. Both unpackers agree, now and then."""
    looks_twice = data[:1] == b"\1"
    if data[:1] and data[0] & 1:
        data = fitted(data[1:], query_bytes(PARAMETERS, PACKING))
    read = read_query(PARAMETERS, PACKING, data)
    if looks_twice:
        again = read_query(PARAMETERS, PACKING, data, compiled_bits.unpack_bits)
        assert np.array_equal(read.c0, again.c0)


def reply_blocks(data: bytes) -> None:
    if data[:1] and data[0] & 1:
        data = fitted(data[1:], reply_block_bytes(PARAMETERS, PACKING) * (1 + data[0] // 2 % 2))
    c1, c0 = read_reply_blocks(PARAMETERS, PACKING, data)
    assert int(c1.max(initial=0)) < 1 << PARAMETERS.reply_c1_bits
    assert int(c0.max(initial=0)) < 1 << PARAMETERS.reply_c0_bits


def owner_ciphertexts(data: bytes) -> None:
    """A query or a block of rows: what is taken is written as it came."""
    if data[:1] and data[0] & 1:
        data = fitted(data[1:], owner_message.ciphertexts_bytes(OWNER, PACKING))
    read = owner_message.read_ciphertexts(OWNER, PACKING, data)
    assert owner_message.write_ciphertexts(read) == data


def owner_reply_blocks(data: bytes) -> None:
    if data[:1] and data[0] & 1:
        data = fitted(data[1:], owner_message.reply_block_bytes(OWNER, PACKING) * (1 + data[0] // 2 % 2))
    read = owner_message.read_reply_blocks(OWNER, PACKING, data)
    for values, (bits_each, _) in zip(
        (read.c2, read.c1, read.c0), owner_message.reply_runs(OWNER, PACKING), strict=True
    ):
        assert int(values.max(initial=0)) < 1 << bits_each


def packed(data: bytes) -> None:
    """Width and count from the first three bytes; what is unpacked packs to the same bits, looked at now and then."""
    width, count = 1 + (data[0] if data else 0) % 32, int.from_bytes(data[1:3], "little") % 512
    body = np.frombuffer(fitted(data[3:], bits.packed_bytes(width, count)), np.uint8)[None]
    values = bits.unpack_bits(body, width, count)
    assert values.shape == (1, count)
    if data[:1] >= b"\xc0":
        assert np.array_equal(values, bits.unpack_bits(bits.pack_bits(values, width), width, count))


def enrolment(data: bytes) -> None:
    message = parsed(index_pb2.EnrolRowsRequest, data)
    if message.WhichOneof("part") == "batch":
        batch = wire.batch_from_message(message.batch, DIMENSION)
        assert batch.vectors.shape == (len(batch.row_ids), DIMENSION)
    elif message.WhichOneof("part") == "block":
        message.block.DiscardUnknownFields()
        assert wire.block_to_message(wire.block_from_message(message.block)) == message.block


def erasure(data: bytes) -> None:
    message = parsed(index_pb2.EraseRowsRequest, data)
    wire.require_uid(message.request_id, "a request id")
    wire.require_uid(message.collection_uid, "a collection's uid")
    wire.split_row_ids(message.row_ids)


def collection(data: bytes) -> None:
    wire.collection_from_message(parsed(types_pb2.CollectionInfo, data))


def catalogue(data: bytes) -> None:
    message = parsed(index_pb2.SyncCatalogueResponse, data)
    wire.require_epoch(message.epoch, "a catalogue")
    wire.split_row_ids(message.erased_row_ids)
    for entry in message.added:
        wire.entry_from_message(entry)


def status(data: bytes) -> None:
    ServerStatus.from_message(parsed(operations_pb2.GetStatusResponse, data))


class Zeros:
    """Stands where the key of a reply stands, without its cost: the scores of a reply's blocks are zero."""

    def decrypt(self, blocks: bytes) -> npt.NDArray[np.int64]:
        _, c0 = read_reply_blocks(PARAMETERS, WIDE, blocks)
        return np.zeros(c0.size, np.int64)


def search_reply(data: bytes) -> None:
    """Messages of one reply, each behind its length in two bytes."""
    reply = Reply(PARAMETERS, WIDE, Zeros())
    for message in each_in_a_row(search_pb2.SearchResponse, data):
        reply.take(message)
    reply.finish()
    header = reply._header
    if header is not None and header.slots < 1 << 20:
        assert len(reply.by_slot(reply.raw_scores().astype(np.float32))) == header.slots


def trailers(data: bytes) -> None:
    """Code, message and time to wait as a server names them, a line each."""
    code, text, seconds, *_ = [*data.decode("utf-8", "replace").split("\n"), "", ""]
    error = wire.error_from(code, text, retry_seconds(seconds))
    assert isinstance(error, UnseenError)
    wire.grpc_status_name(error)


def retry_seconds(text: str) -> float | None:
    from unseen_client.transport import _seconds

    found = _seconds(text)
    assert found is None or (math.isfinite(found) and found >= 0)
    return found


UID = bytes(range(16))
RIGHT_QUERY = right_query(PARAMETERS, PACKING)
RIGHT_CIPHERTEXTS = bytes(range(32)) + b"\1" * (owner_message.ciphertexts_bytes(OWNER, PACKING) - 32)
OWNER_BLOCK = index_pb2.EncryptedBlock(number=1, known_epoch=2, ciphertexts=b"encrypted")
BATCH = index_pb2.EnrolBatch(row_ids=UID, vectors=bytes(2 * DIMENSION), sealed_records=[b"sealed"], consents=UID)
HEADER = search_pb2.SearchReplyHeader(epoch=1, slots=5, blocks=WIDE.blocks(5))
PARTIAL = search_pb2.SearchReplyHeader(
    epoch=1, slots=5000, blocks=1, partial=True, extents=[search_pb2.ExtentRun(first=1, count=1)]
)
BLOCK = search_pb2.SearchResponse(blocks=bytes(reply_block_bytes(PARAMETERS, WIDE)))
INFO = types_pb2.CollectionInfo(
    uid=UID, name="scans", dimension=8, parameter_id="0" * 16, packing_factor=8, rows=1, slots=2, epoch=3
)
CATALOGUE = index_pb2.SyncCatalogueResponse(
    epoch=2, added=[types_pb2.CatalogueEntry(row_id=UID, slot=1, epoch=1)], erased_row_ids=UID, last=True
)
STATUS = operations_pb2.GetStatusResponse(
    version="1",
    component_versions={"numpy": "2"},
    certificate=operations_pb2.CertificateStatus(expires_s=2_000_000_000),
    traffic=operations_pb2.TrafficStatus(searches=1),
    memory=operations_pb2.MemoryStatus(index_bytes=1),
)


def _target(name: str, run: Run, *seeds: bytes, most_bytes: int = 4096) -> Target:
    return Target(name, run, (MalformedMessage,), seeds, most_bytes=most_bytes)


TARGETS = (
    _target("he.message.read_query", query, b"\0" + RIGHT_QUERY[:-1], b"\1" + RIGHT_QUERY, most_bytes=4096),
    _target("he.message.read_reply_blocks", reply_blocks, b"\1abc", b"\3abc", bytes(583), most_bytes=4096),
    _target(
        "he.owner.message.read_ciphertexts", owner_ciphertexts, b"\0" + RIGHT_CIPHERTEXTS, b"\1" + RIGHT_CIPHERTEXTS
    ),
    _target(
        "he.owner.message.read_reply_blocks",
        owner_reply_blocks,
        b"\1abc",
        b"\3abc",
        bytes(owner_message.reply_block_bytes(OWNER, PACKING)),
    ),
    _target("he.bits.unpack_bits", packed, b"\x10\x20\0abcdef", b"\x1f\x21\0" + bytes(140)),
    _target(
        "wire.batch_from_message",
        enrolment,
        index_pb2.EnrolRowsRequest(batch=BATCH).SerializeToString(),
        index_pb2.EnrolRowsRequest(block=OWNER_BLOCK).SerializeToString(),
    ),
    _target(
        "wire.split_row_ids",
        erasure,
        index_pb2.EraseRowsRequest(request_id=UID, collection_uid=UID, row_ids=2 * UID).SerializeToString(),
    ),
    _target("wire.collection_from_message", collection, INFO.SerializeToString()),
    _target("wire.entry_from_message", catalogue, CATALOGUE.SerializeToString()),
    _target("client.status.from_message", status, STATUS.SerializeToString()),
    Target(
        "client.flows.reply.Reply",
        search_reply,
        (MalformedMessage, ServerUnavailable),
        (
            in_a_row(search_pb2.SearchResponse(header=HEADER), BLOCK),
            in_a_row(search_pb2.SearchResponse(header=PARTIAL), BLOCK),
        ),
        most_bytes=16384,
    ),
    _target("wire.error_from", trailers, b"ROW_EXISTS\nit is there\n1.5", b"\xc3\xa9\n\nnan"),
)
