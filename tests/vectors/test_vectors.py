"""The vectors are what the code does: what can be made again is the same, what was drawn once opens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.vectors import make
from unseen import envelope, params
from unseen.he.message import write_query
from unseen.he.secret import ReplyKey
from unseen_client.key_export import unwrap
from unseen_client.records import Record, open_record, unpad

HERE = Path(__file__).parent


def stored(name):
    return json.loads((HERE / f"{name}.json").read_text())


def as_json(vectors):
    return json.loads(json.dumps(vectors))


@pytest.mark.parametrize("name", ["parameters", "quantise", "packing", "bits", "expand"])
def test_what_is_not_random_is_made_the_same(name):
    assert as_json(getattr(make, name)()) == stored(name)


def test_parameter_ids_can_be_computed_from_the_numbers_alone():
    for one in stored("parameters"):
        canonical = json.dumps(one["numbers"], sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(canonical.encode()).hexdigest()[:16] == one["id"]


def test_the_query_is_the_same_bytes_and_the_stored_reply_decrypts_to_the_stored_scores():
    vector = stored("search")
    query = np.array(vector["query"], np.int64)
    assert write_query(params.DEFAULT, make.PACKING, make.encrypted(query)).hex() == vector["query_hex"]
    key = ReplyKey(params.DEFAULT, make.PACKING, make.secret_key())
    raw = key.decrypt(bytes.fromhex(vector["reply_hex"]))[: vector["slots"]]
    assert raw.tolist() == vector["raw_scores"]
    scale = params.DEFAULT.query_scale * params.DEFAULT.row_scale
    assert np.abs(raw - np.array(vector["exact_scores"])).max() / scale < 0.011


def test_a_reply_made_now_decrypts_too():
    vector = as_json(make.search())
    assert vector["query_hex"] == stored("search")["query_hex"]
    assert np.abs(np.array(vector["raw_scores"]) - np.array(vector["exact_scores"])).max() < 0.011 * (1 << 23)


def test_sealed_bytes_open():
    vector = stored("envelope")
    context = bytes.fromhex(vector["context_hex"])
    assert envelope.context("record", make.UID, b"row-id-of-16-byt", 7) == context
    assert (
        envelope.open_sealed(bytes.fromhex(vector["key_hex"]), bytes.fromhex(vector["sealed_hex"]), context) == b"hello"
    )
    assert envelope.derive_key(make.KEY, b"purpose").hex() == vector["derived"]["key_hex"]


def test_the_stored_record_opens_and_is_made_the_same():
    vector, again = stored("record"), as_json(make.record())
    assert {**again, "sealed_hex": ""} == {**vector, "sealed_hex": ""}
    row = bytes.fromhex(vector["row_id_hex"])
    found = open_record(make.KEY, make.UID, row, bytes.fromhex(vector["sealed_hex"]))
    fields = vector["fields"]
    assert found == Record(
        id=fields["id"],
        name=fields["name"],
        caption=fields["caption"],
        tags=tuple(fields["tags"]),
        link=fields["link"],
        thumbnail=bytes.fromhex(fields["thumbnail_hex"]),
        extra=fields["extra"],
    )
    assert found.vector.tolist() == fields["vector"]
    assert unpad(bytes.fromhex(vector["padded_hex"])).hex() == vector["encoded_hex"]


def test_the_stored_key_export_opens():
    vector = stored("key_export")
    for one in (vector, vector["without_store"]):
        key = unwrap(json.dumps(one["export"]).encode(), vector["passphrase"])
        assert key.to_json() == one["key"]
    assert "store_uid" in vector["key"]
    assert "store_uid" not in vector["without_store"]["key"]
