"""Records: sealed for one row of one collection, padded, and the same row id for the same id."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen import envelope
from unseen.dp.event import Event
from unseen.dp.gaussian import Gaussian
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.errors import InvalidInput, SealBroken
from unseen.v1 import record_pb2
from unseen_client import Record
from unseen_client.records import decode_record, encode_record, open_record, pad, row_id, seal_record, unpad

KEY, UID = bytes(range(32)), b"collection-uid-0"

texts = st.text(max_size=60)
records = st.builds(
    Record,
    id=st.text(min_size=1, max_size=40),
    name=texts,
    caption=texts,
    tags=st.lists(texts, max_size=4).map(tuple),
    link=texts,
    thumbnail=st.binary(max_size=600),
    extra=st.dictionaries(texts, texts, max_size=3),
    noise=st.sampled_from(
        [None, PrivUnit(8.0).event(16), Gaussian(1.5).event(512), MetricVonMisesFisher(4.0).event(8)]
    ),
)


@given(records)
@settings(deadline=None)
def test_what_is_sealed_comes_back(record):
    sealed = seal_record(KEY, UID, record)
    assert open_record(KEY, UID, row_id(KEY, record.id), sealed) == record


@given(st.binary(max_size=2000))
def test_padding_comes_off_again_and_hides_lengths_up_to_256(plain):
    assert unpad(pad(plain)) == plain
    assert len(pad(plain)) == (len(plain) // 256 + 1) * 256


def test_padding_known_answer():
    assert pad(b"ab") == b"ab\x80" + bytes(253)
    assert pad(bytes(255)) == bytes(255) + b"\x80"
    assert pad(bytes(256)) == bytes(256) + b"\x80" + bytes(255)


@pytest.mark.parametrize("padded", [b"", bytes(256), b"ab" + bytes(254)])
def test_bytes_without_the_mark_are_no_record(padded):
    with pytest.raises(SealBroken):
        unpad(padded)


def test_row_ids_known_answer():
    assert row_id(KEY, "cat") == hmac.new(KEY, b"row-idcat", hashlib.sha256).digest()[:16]
    assert row_id(KEY, "cat").hex() == "12081913d760722c9841aa7fe843dd2d"
    assert len({row_id(KEY, "cat"), row_id(KEY, "dog"), row_id(bytes(32), "cat")}) == 3


def test_encoding_tripwire():
    """A change here makes every record that was ever sealed unreadable."""
    vector = np.linspace(-1, 1, 8, dtype=np.float32)
    record = Record("id", "n", "c", ("t", "u"), "l", b"\xff\xd8", vector, {"b": "2", "a": "1"})
    assert hashlib.sha256(encode_record(record)).hexdigest()[:16] == "4f1e8bef16e5950f"
    back = decode_record(encode_record(record))
    assert np.array_equal(back.vector, vector.astype(np.float16).astype(np.float32))
    assert back == record
    noised = replace(record, noise=Event("privunit", 1, 8.0, 0.0, (("dimension", 16.0), ("gamma", 0.5))))
    assert hashlib.sha256(encode_record(noised)).hexdigest()[:16] == "ba50c0cf34472ce2"
    assert decode_record(encode_record(noised)) == noised


def test_noise_of_a_mechanism_of_later_releases_is_shown_as_it_is():
    later = Event("laplace on a lattice", 7, 3.0, 1e-9, (("steps", 12.0),), "one person", "add or remove one")
    assert decode_record(encode_record(Record("id", noise=later))).noise == later


def test_a_record_moved_to_another_row_or_collection_does_not_open():
    sealed = seal_record(KEY, UID, Record("cat"))
    for key, uid, row in ((KEY, UID, "dog"), (KEY, b"another-uid-0000", "cat"), (bytes(32), UID, "cat")):
        with pytest.raises(SealBroken):
            open_record(key, uid, row_id(KEY, row), sealed)


@given(st.data())
@settings(max_examples=40)
def test_altered_or_cut_records_do_not_open(data):
    sealed = bytearray(seal_record(KEY, UID, Record("cat")))
    at = data.draw(st.integers(0, len(sealed) - 1))
    if data.draw(st.booleans()):
        sealed[at] ^= data.draw(st.integers(1, 255))
    else:
        del sealed[at:]
    with pytest.raises(SealBroken):
        open_record(KEY, UID, row_id(KEY, "cat"), bytes(sealed))


def test_a_seal_over_something_else_is_said_to_be_another_version():
    row = row_id(KEY, "cat")
    sealed = envelope.seal(KEY, pad(b"\xff\xff"), envelope.context("record", UID, row))
    with pytest.raises(SealBroken, match="another version"):
        open_record(KEY, UID, row, sealed)


def test_fields_of_a_later_version_are_ignored():
    later = record_pb2.Record(id="cat").SerializeToString() + b"\xfa\x07\x03new"
    assert decode_record(later) == Record("cat")


def test_showing_a_record_shows_neither_picture_nor_vector():
    shown = repr(Record("cat", thumbnail=b"JPEGBYTES", vector=np.ones(4, np.float32)))
    assert "JPEGBYTES" not in shown
    assert "array" not in shown


@pytest.mark.parametrize("row", ["", "x" * 513, 7, None, b"cat"])
def test_what_cannot_be_an_id_is_refused(row):
    with pytest.raises(InvalidInput, match="1 to 512"):
        row_id(KEY, row)
