"""Records and errors cross the wire unchanged; messages of the wrong shape are refused before they become records."""

from __future__ import annotations

import hashlib

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen import errors, wire
from unseen.errors import MalformedMessage, UnseenError
from unseen.types import CatalogueEntry, CollectionInfo, RowBatch
from unseen.v1 import index_pb2, types_pb2

uids = st.binary(min_size=16, max_size=16)
counts = st.integers(0, 2**64 - 1)
epochs = st.integers(0, 2**63 - 1)


def all_error_classes() -> list[type[UnseenError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, UnseenError)]
    assert len(found) > 20
    return found


def test_every_error_is_in_the_status_table_with_a_real_status() -> None:
    for kind in all_error_classes():
        assert wire.GRPC_STATUS[kind] in grpc.StatusCode.__members__


def test_every_code_belongs_to_one_error_and_comes_back_as_it() -> None:
    kinds = all_error_classes()
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        rebuilt = wire.error_from(kind.code, "what happened")
        assert type(rebuilt) is kind
        assert str(rebuilt) == "what happened"


def test_unknown_code_becomes_the_root_error() -> None:
    assert type(wire.error_from("FROM_A_LATER_RELEASE", "what happened")) is UnseenError


def test_leaf_that_the_table_lacks_gets_its_parents_status() -> None:
    class NewLeaf(errors.NotFound):
        code = "TEST_ONLY_LEAF"

    assert wire.grpc_status_name(NewLeaf("gone")) == "NOT_FOUND"


@given(uids, st.text(min_size=1, max_size=64), st.integers(1, 4096), st.integers(1, 2048), counts, epochs)
def test_collection_crosses_unchanged(
    uid: bytes, name: str, dimension: int, factor: int, rows: int, epoch: int
) -> None:
    info = CollectionInfo(uid, name, dimension, "0123456789abcdef", "none", factor, rows, rows, epoch)
    sent = wire.collection_to_message(info).SerializeToString()
    assert wire.collection_from_message(types_pb2.CollectionInfo.FromString(sent)) == info


@given(uids, st.integers(0, 2**32 - 1), epochs, st.binary(max_size=64))
def test_catalogue_entry_crosses_unchanged(row_id: bytes, slot: int, epoch: int, record: bytes) -> None:
    entry = CatalogueEntry(row_id, slot, epoch, record)
    sent = wire.entry_to_message(entry).SerializeToString()
    assert wire.entry_from_message(types_pb2.CatalogueEntry.FromString(sent)) == entry


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_rows_cross_unchanged(count: int, dimension: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.integers(-(2**15), 2**15, (count, dimension), dtype=np.int16)
    batch = RowBatch(
        tuple(random.bytes(16) for _ in range(count)), vectors, tuple(random.bytes(9) for _ in range(count))
    )
    sent = wire.batch_to_message(batch).SerializeToString()
    received = wire.batch_from_message(index_pb2.EnrolBatch.FromString(sent), dimension)
    assert received.row_ids == batch.row_ids
    assert received.sealed_records == batch.sealed_records
    assert received.vectors.dtype == np.int16
    np.testing.assert_array_equal(received.vectors, vectors)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 32])
def test_uid_of_another_length_is_malformed(length: int) -> None:
    with pytest.raises(MalformedMessage):
        wire.require_uid(bytes(length), "a uid")
    with pytest.raises(MalformedMessage):
        wire.collection_from_message(types_pb2.CollectionInfo(uid=bytes(length), dimension=8, packing_factor=8))
    with pytest.raises(MalformedMessage):
        wire.entry_from_message(types_pb2.CatalogueEntry(row_id=bytes(length)))


@pytest.mark.parametrize("length", [1, 15, 17, 31])
def test_row_ids_that_do_not_divide_are_malformed(length: int) -> None:
    with pytest.raises(MalformedMessage):
        wire.split_row_ids(bytes(length))


@pytest.mark.parametrize(
    ("row_ids", "vector_bytes", "records"),
    [(0, 0, 0), (1, 15, 1), (1, 17, 1), (1, 32, 1), (2, 16, 2), (1, 16, 0), (1, 16, 2), (0, 16, 1)],
)
def test_batch_whose_counts_disagree_is_malformed(row_ids: int, vector_bytes: int, records: int) -> None:
    message = index_pb2.EnrolBatch(
        row_ids=bytes(16 * row_ids), vectors=bytes(vector_bytes), sealed_records=[b""] * records
    )
    with pytest.raises(MalformedMessage):
        wire.batch_from_message(message, 8)


@pytest.mark.parametrize(("dimension", "factor", "rows", "slots"), [(0, 1, 0, 0), (8, 0, 0, 0), (8, 1, 2, 1)])
def test_collection_that_cannot_be_is_malformed(dimension: int, factor: int, rows: int, slots: int) -> None:
    message = types_pb2.CollectionInfo(
        uid=bytes(16), dimension=dimension, packing_factor=factor, rows=rows, slots=slots
    )
    with pytest.raises(MalformedMessage):
        wire.collection_from_message(message)


def test_wire_form_has_not_changed() -> None:
    info = CollectionInfo(bytes(range(16)), "photos", 512, "0123456789abcdef", "bundled", 8, 9, 11, 12)
    entry = CatalogueEntry(bytes(range(16, 32)), 7, 12, b"sealed")
    batch = RowBatch((bytes(16),), np.array([[1, -2, 300]], np.int16), (b"sealed",))
    sent = [wire.collection_to_message(info), wire.entry_to_message(entry), wire.batch_to_message(batch)]
    digest = hashlib.sha256(b"".join(message.SerializeToString(deterministic=True) for message in sent)).hexdigest()
    assert digest == TRIPWIRE


TRIPWIRE = "ad8dc8d7d955aae6b49639d235b3dc0e0ad9ddce780b3c6bc09d7b2c85287781"
