"""Messages built to hurt: every one gets a typed refusal, costs almost nothing, changes nothing, and the server lives.

Structure-aware: the messages are right but for one length, one count, one residue or one place in the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseen import params
from unseen.entropy import random_bytes, random_uid
from unseen.he import message, packing
from unseen.he.bits import pack_bits
from unseen.params import SEED_BYTES
from unseen.types import RowBatch
from unseen.v1 import collections_pb2, index_pb2, search_pb2
from unseen_server.access.table import TABLE

Make = Callable[..., Any]

PARAMETERS = params.DEFAULT
MOST_GROWTH_BYTES = 48 << 20
"""Allowed growth of the server over a whole test: the attacks below would cost gigabytes if they worked."""
ABSURD_COUNTS = (0, 1025, 2**31 - 1, 2**31, 2**32 - 1)


@pytest.fixture(autouse=True)
def server_lives_and_stays_small(server: Any, caller: Any) -> Iterator[None]:
    caller.info()
    before = server.memory_bytes
    yield
    caller.info()
    assert server.memory_bytes - before < MOST_GROWTH_BYTES


@pytest.fixture
def filled(caller: Any, fresh_collection: Any, make_rows: Make) -> Any:
    """A collection of five rows."""
    caller.enrol(fresh_collection.uid, make_rows(5)[1])
    return caller.collection(fresh_collection.name)


def layout_of(collection: Any) -> packing.Packing:
    return packing.Packing(PARAMETERS.ring_degree, collection.dimension, collection.packing_factor)


def query_of(collection: Any, residues: np.ndarray | None = None, seeds: np.ndarray | None = None) -> bytes:
    """A well-formed query that encrypts nothing, with the residues and seeds of one's choice."""
    layout = layout_of(collection)
    count = layout.chunks + 1
    if seeds is None:
        seeds = np.frombuffer(random_bytes(count * SEED_BYTES), np.uint8).reshape(count, SEED_BYTES)
    if residues is None:
        residues = np.full((count, PARAMETERS.ring_degree), 1 << PARAMETERS.query_drop_bits, np.uint32)
    return message.write_query(PARAMETERS, layout, message.EncryptedQuery(seeds, residues))


def encoded(messages: list[Any]) -> list[bytes]:
    return [part.SerializeToString() for part in messages]


# Search


def test_made_up_query_is_answered_for_comparison(caller: Any, filled: Any) -> None:
    header, blocks = caller.search_bytes(filled, query_of(filled))
    assert len(blocks) == header.blocks * message.reply_block_bytes(PARAMETERS, layout_of(filled))


def test_query_of_any_other_length_is_malformed(caller: Any, filled: Any) -> None:
    query = query_of(filled)
    random = np.random.default_rng()
    cuts = {*range(70), *range(len(query) - 70, len(query)), *random.integers(0, len(query), 60).tolist()}
    for length in cuts:
        assert caller.refusal(caller.search_bytes, filled, query[:length]).code == "MALFORMED_MESSAGE"
    for extra in (1, 7, 64, len(query), 1 << 20):
        assert caller.refusal(caller.search_bytes, filled, query + bytes(extra)).code == "MALFORMED_MESSAGE"


def test_endless_query_is_refused_at_the_first_byte_too_many(caller: Any, filled: Any, search_of: Make) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield search_of(filled, b"")[0].SerializeToString()
        while True:
            sent += 1
            yield search_pb2.SearchRequest(query=bytes(1 << 20)).SerializeToString()

    refusal = caller.refusal(caller.raw, "SearchService/Search", endless())
    assert (refusal.status, refusal.code) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
    assert sent < 64


@pytest.mark.parametrize("ciphertext", [0, -1], ids=["chunk", "public key"])
def test_residue_that_is_not_below_q_is_malformed(caller: Any, filled: Any, ciphertext: int) -> None:
    layout = layout_of(filled)
    width = PARAMETERS.residue_bits - (PARAMETERS.query_drop_bits if ciphertext == 0 else 0)
    values = np.ones((1, PARAMETERS.ring_degree), np.uint32)
    values[0, 17] = (1 << width) - 1
    run = pack_bits(values, width).tobytes()
    query = bytearray(query_of(filled))
    start = SEED_BYTES if ciphertext == 0 else len(query) - len(run)
    query[start : start + len(run)] = run
    assert len(query) == message.query_bytes(PARAMETERS, layout)
    assert caller.refusal(caller.search_bytes, filled, bytes(query)).code == "MALFORMED_MESSAGE"


def test_query_of_zeros_or_ones_is_malformed(caller: Any, filled: Any) -> None:
    length = len(query_of(filled))
    for byte in (b"\x00", b"\xff"):
        assert caller.refusal(caller.search_bytes, filled, byte * length).code == "MALFORMED_MESSAGE"


def test_all_zero_ciphertext_and_repeated_seed_are_malformed(caller: Any, filled: Any) -> None:
    count = layout_of(filled).chunks + 1
    for zero in range(count):
        residues = np.full((count, PARAMETERS.ring_degree), 1 << PARAMETERS.query_drop_bits, np.uint32)
        residues[zero] = 0
        assert caller.refusal(caller.search_bytes, filled, query_of(filled, residues)).code == "MALFORMED_MESSAGE"
    seeds = np.zeros((count, SEED_BYTES), np.uint8)
    assert caller.refusal(caller.search_bytes, filled, query_of(filled, seeds=seeds)).code == "MALFORMED_MESSAGE"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("collection_uid", b"", "MALFORMED_MESSAGE"),
        ("collection_uid", bytes(15), "MALFORMED_MESSAGE"),
        ("collection_uid", bytes(17), "MALFORMED_MESSAGE"),
        ("collection_uid", bytes(1 << 20), "MALFORMED_MESSAGE"),
        ("collection_uid", bytes(16), "COLLECTION_NOT_FOUND"),
        ("parameter_id", "", "PARAMETER_MISMATCH"),
        ("parameter_id", "0" * 16, "PARAMETER_MISMATCH"),
        ("parameter_id", params.N2048_Q29_FINE.id, "PARAMETER_MISMATCH"),
        ("parameter_id", "x" * (1 << 20), "PARAMETER_MISMATCH"),
        ("packing_factor", 0, "PACKING_CHANGED"),
        ("packing_factor", 3, "PACKING_CHANGED"),
        ("packing_factor", 2**32 - 1, "PACKING_CHANGED"),
    ],
)
def test_search_header_that_does_not_fit_is_refused(
    caller: Any, filled: Any, search_of: Make, field: str, value: Any, code: str
) -> None:
    messages = search_of(filled, query_of(filled), **{field: value})
    refusal = caller.refusal(caller.raw, "SearchService/Search", encoded(messages))
    assert refusal.code == code
    assert len(refusal.message) < 400


def test_search_messages_in_the_wrong_order_are_malformed(caller: Any, filled: Any, search_of: Make) -> None:
    header, chunk = search_of(filled, query_of(filled))
    for messages in ([], [chunk], [chunk, header], [header, header, chunk], [header, chunk, header]):
        refusal = caller.refusal(caller.raw, "SearchService/Search", encoded(messages))
        assert refusal.code == "MALFORMED_MESSAGE"
    empty = caller.refusal(caller.raw, "SearchService/Search", [b""])
    assert empty.code == "MALFORMED_MESSAGE"


def test_empty_or_oversized_query_chunk_is_refused(caller: Any, filled: Any, search_of: Make) -> None:
    header = search_of(filled, b"")[0]
    for size in (0, (1 << 20) + 1):
        messages = [header, search_pb2.SearchRequest(query=bytes(size))]
        refusal = caller.refusal(caller.raw, "SearchService/Search", encoded(messages))
        assert refusal.code == "LIMIT_EXCEEDED"


# Enrolment


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        *(("row_count", count, "LIMIT_EXCEEDED") for count in ABSURD_COUNTS),
        ("row_count", 2, "MALFORMED_MESSAGE"),
        ("row_count", 4, "MALFORMED_MESSAGE"),
        ("request_id", b"", "MALFORMED_MESSAGE"),
        ("request_id", bytes(17), "MALFORMED_MESSAGE"),
        ("collection_uid", bytes(15), "MALFORMED_MESSAGE"),
        ("collection_uid", bytes(16), "COLLECTION_NOT_FOUND"),
        ("parameter_id", params.N2048_Q29_FINE.id, "PARAMETER_MISMATCH"),
        ("model_id", "another", "MODEL_MISMATCH"),
        ("model_id", "", "MODEL_MISMATCH"),
    ],
)
def test_enrol_header_that_does_not_fit_adds_nothing(
    caller: Any, fresh_collection: Any, make_rows: Make, field: str, value: Any, code: str
) -> None:
    refusal = caller.refusal(caller.enrol, fresh_collection.uid, make_rows(3)[1], **{field: value})
    assert refusal.code == code
    assert caller.collection(fresh_collection.name) == fresh_collection


def changed_batches() -> Iterator[tuple[str, dict[str, Any]]]:
    ids, vectors, records = random_bytes(48), (b"\xff" + bytes(31)) * 3, [b"sealed"] * 3
    right = {"row_ids": ids, "vectors": vectors, "sealed_records": records}
    for length in (0, 1, 15, 32, 47, 49, 64, 48 * 1000):
        yield "MALFORMED_MESSAGE", right | {"row_ids": (ids * 1001)[:length]}
    for length in (0, 1, 95, 97, 64, 128, 1 << 20):
        yield "MALFORMED_MESSAGE", right | {"vectors": bytes(length)}
    for count in (0, 1, 2, 4, 10_000):
        yield "MALFORMED_MESSAGE", right | {"sealed_records": [b""] * count}
    yield "LIMIT_EXCEEDED", right | {"sealed_records": [bytes((64 << 10) + 1)] * 3}
    yield "INVALID_INPUT", right | {"row_ids": ids[:16] * 3}
    yield "INVALID_VECTOR", right | {"vectors": b"\xff\x7f" * 48}
    yield "INVALID_VECTOR", right | {"vectors": b"\x00\x80" * 48}
    yield "INVALID_VECTOR", right | {"vectors": bytes(64) + b"\x05\x01" + bytes(30)}


def test_batch_that_does_not_fit_adds_nothing(caller: Any, fresh_collection: Any, enrolment_of: Make) -> None:
    header = {"request_id": random_uid(), "row_count": 3}
    start = enrolment_of(fresh_collection.uid, RowBatch((), np.empty((0, 16), np.int16), ()), **header)[:1]
    for code, fields in changed_batches():
        batch = index_pb2.EnrolRowsRequest(batch=index_pb2.EnrolBatch(**fields))
        refusal = caller.refusal(caller.raw, "IndexService/EnrolRows", encoded([*start, batch]))
        assert refusal.code == code, {name: len(value) for name, value in fields.items()}
    assert caller.collection(fresh_collection.name) == fresh_collection


def test_enrolment_in_the_wrong_order_adds_nothing(
    caller: Any, fresh_collection: Any, make_rows: Make, enrolment_of: Make
) -> None:
    header, batch = enrolment_of(fresh_collection.uid, make_rows(3)[1], random_uid())
    wrong = (
        [],
        [header],
        [batch],
        [batch, header],
        [header, header, batch],
        [header, batch, batch],
        [header, batch, header],
    )
    for messages in wrong:
        refusal = caller.refusal(caller.raw, "IndexService/EnrolRows", encoded(messages))
        assert refusal.code == "MALFORMED_MESSAGE"
    assert caller.collection(fresh_collection.name) == fresh_collection


def test_small_message_cut_at_every_byte_adds_nothing(
    caller: Any, fresh_collection: Any, make_rows: Make, enrolment_of: Make
) -> None:
    header, batch = encoded(enrolment_of(fresh_collection.uid, make_rows(1)[1], random_uid()))
    for length in range(len(header)):
        refusal = caller.refusal(caller.raw, "IndexService/EnrolRows", [header[:length], batch])
        assert refusal.code in {"MALFORMED_MESSAGE", "MODEL_MISMATCH", "PARAMETER_MISMATCH", "LIMIT_EXCEEDED"}
    for length in range(len(batch)):
        refusal = caller.refusal(caller.raw, "IndexService/EnrolRows", [header, batch[:length]])
        assert refusal.code == "MALFORMED_MESSAGE"
    assert caller.collection(fresh_collection.name) == fresh_collection


def test_more_rows_than_announced_are_refused_before_they_fill_memory(
    caller: Any, fresh_collection: Any, make_rows: Make, enrolment_of: Make
) -> None:
    header, *batches = encoded(enrolment_of(fresh_collection.uid, make_rows(100, record_bytes=9000)[1], random_uid()))
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield header
        while True:
            sent += 1
            yield batches[0]

    assert caller.refusal(caller.raw, "IndexService/EnrolRows", endless()).code == "MALFORMED_MESSAGE"
    assert sent < 64


def test_rows_that_are_enrolled_already_are_refused(caller: Any, fresh_collection: Any, make_rows: Make) -> None:
    _, batch = make_rows(3)
    caller.enrol(fresh_collection.uid, batch)
    assert caller.refusal(caller.enrol, fresh_collection.uid, batch).code == "ROW_EXISTS"
    assert caller.collection(fresh_collection.name).rows == 3


# Erasure, synchronisation, collections


@pytest.mark.parametrize(
    ("row_ids", "code"),
    [
        (0, "LIMIT_EXCEEDED"),
        (1, "MALFORMED_MESSAGE"),
        (15, "MALFORMED_MESSAGE"),
        (17, "MALFORMED_MESSAGE"),
        (16, "ROW_NOT_FOUND"),
        (32, "INVALID_INPUT"),
        (65537 * 16, "LIMIT_EXCEEDED"),
    ],
)
def test_erasure_of_what_is_not_there_erases_nothing(caller: Any, filled: Any, row_ids: int, code: str) -> None:
    assert caller.refusal(caller.erase, filled.uid, [bytes(row_ids)]).code == code
    assert caller.collection(filled.name) == filled


def test_wrong_collection_is_refused_everywhere(caller: Any, filled: Any, make_rows: Make) -> None:
    other = caller.create(random_uid().hex())
    _, batch = make_rows(1)
    caller.enrol(filled.uid, batch)
    assert caller.refusal(caller.erase, other.uid, batch.row_ids).code == "ROW_NOT_FOUND"
    for uid, code in (
        (random_uid(), "COLLECTION_NOT_FOUND"),
        (b"", "MALFORMED_MESSAGE"),
        (bytes(99), "MALFORMED_MESSAGE"),
    ):
        assert caller.refusal(caller.erase, uid, batch.row_ids).code == code
        assert caller.refusal(caller.sync, uid).code == code
        assert caller.refusal(caller.delete, uid).code == code


@pytest.mark.parametrize("since", [2, 2**31, 2**63, 2**64 - 1])
def test_mirror_that_claims_a_later_epoch_is_told_so(caller: Any, filled: Any, since: int) -> None:
    assert caller.refusal(caller.sync, filled.uid, since).code == "MISMATCH"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": ""}, "INVALID_NAME"),
        ({"name": "A"}, "INVALID_NAME"),
        ({"name": "../photos"}, "INVALID_NAME"),
        ({"name": ".photos"}, "INVALID_NAME"),
        ({"name": "photos\n"}, "INVALID_NAME"),
        ({"name": "x" * 65}, "INVALID_NAME"),
        ({"name": "x" * (1 << 20)}, "INVALID_NAME"),
        *(({"dimension": dimension}, "INVALID_INPUT") for dimension in (0, 1, 7, 4097, 2**31, 2**32 - 1)),
        ({"parameter_id": ""}, "PARAMETER_MISMATCH"),
        ({"parameter_id": "0" * 16}, "PARAMETER_MISMATCH"),
        ({"parameter_id": "x" * (1 << 20)}, "PARAMETER_MISMATCH"),
        ({"model_id": ""}, "INVALID_NAME"),
        ({"model_id": "two words"}, "INVALID_NAME"),
        ({"model_id": "x" * 129}, "INVALID_NAME"),
        ({"request_id": b""}, "MALFORMED_MESSAGE"),
        ({"request_id": bytes(15)}, "MALFORMED_MESSAGE"),
        ({"request_id": bytes(1 << 20)}, "MALFORMED_MESSAGE"),
    ],
)
def test_collection_that_cannot_be_is_not_made(caller: Any, fields: dict[str, Any], code: str) -> None:
    refusal = caller.refusal(caller.create, **({"name": "never-made"} | fields))
    assert refusal.code == code
    assert len(refusal.message) < 400
    assert caller.refusal(caller.collection, "never-made").code == "COLLECTION_NOT_FOUND"


@pytest.mark.parametrize(
    "method",
    [
        "CollectionService/CreateCollection",
        "CollectionService/DeleteCollection",
        "CollectionService/ReplaceCollection",
        "IndexService/EnrolRows",
        "IndexService/EraseRows",
        "IndexService/SyncCatalogue",
        "SearchService/Search",
    ],
)
def test_bytes_that_are_no_message_are_malformed(caller: Any, method: str) -> None:
    for data in (b"\xff", b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", random_bytes(1) + b"\xff" * 100, b"\x0b" * 1000):
        assert caller.refusal(caller.raw, method, [data]).code == "MALFORMED_MESSAGE"


METHODS = sorted(path.removeprefix("/unseen.v1.") for path in TABLE)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(METHODS), st.lists(st.binary(max_size=200), max_size=4), st.data())
def test_whatever_is_sent_gets_an_answer_or_a_typed_refusal(
    caller: Any, server: Any, method: str, junk: list[bytes], data: st.DataObject
) -> None:
    """Random messages, and right ones with a few bytes changed."""
    right = search_pb2.SearchRequest(
        header=search_pb2.SearchHeader(collection_uid=bytes(16), parameter_id=PARAMETERS.id, packing_factor=16)
    ).SerializeToString()
    bent = bytearray(right)
    for place in data.draw(st.lists(st.integers(0, len(right) - 1), max_size=3)):
        bent[place] = data.draw(st.integers(0, 255))
    refusal = caller.refusal_if_any(caller.raw, method, [bytes(bent), *junk])
    if refusal is not None:
        assert refusal.code is not None
        assert refusal.status not in {"UNKNOWN", "INTERNAL"}, server.log()


def test_unknown_fields_are_ignored_and_deep_nesting_is_not_followed(caller: Any) -> None:
    right = collections_pb2.GetCollectionRequest(name="nobody").SerializeToString()
    for junk in (b"\xfa\x3f\x03abc", b"\x13" * 500_000):
        assert caller.refusal(caller.raw, "CollectionService/GetCollection", [right + junk]).code in {
            "COLLECTION_NOT_FOUND",
            "MALFORMED_MESSAGE",
        }


def test_message_above_the_transport_limit_is_refused_unread(caller: Any) -> None:
    refusal = caller.refusal(
        caller.raw, "CollectionService/GetCollection", [bytes(caller.info().max_message_bytes + 1)]
    )
    assert refusal.status == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_message_is_refused_before_it_is_inflated(server: Any, caller: Any, compression: Any) -> None:
    """64 KiB that would become 64 MiB: gRPC inflates first and looks at the size after."""
    before = server.peak_memory_bytes
    method = caller.channel.unary_unary("/unseen.v1.CollectionService/GetCollection")
    refusal = caller.refusal(lambda: method(bytes(64 << 20), compression=compression, timeout=60))
    assert refusal.status == "UNIMPLEMENTED"
    assert server.peak_memory_bytes - before < MOST_GROWTH_BYTES


def test_method_that_does_not_exist_is_unimplemented(caller: Any) -> None:
    assert caller.refusal(caller.raw, "SearchService/Decrypt", [b""]).status == "UNIMPLEMENTED"
