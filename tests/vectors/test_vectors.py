"""The vectors are what the code does: what can be made again is the same, what was drawn once opens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.vectors import make
from unseen import envelope, params
from unseen.he.message import write_query
from unseen.he.secret import ReplyKey
from unseen_client.keys.key_export import unwrap
from unseen_client.records import Record, open_record, unpad

HERE = Path(__file__).parent


def stored(name):
    return json.loads((HERE / f"{name}.json").read_text())


def as_json(vectors):
    return json.loads(json.dumps(vectors))


@pytest.mark.parametrize(
    "name", ["parameters", "quantise", "packing", "bits", "expand", "governance", "partial_reply", "metrics"]
)
def test_what_is_not_random_is_made_the_same(name):
    assert as_json(getattr(make, name)()) == stored(name)


def test_the_metrics_scores_follow_from_the_integers_alone():
    vector = stored("metrics")
    scale = params.DEFAULT.query_scale * params.DEFAULT.row_scale
    for metrics in (vector["metrics"], vector["fused"]["metrics"]):
        for name in ("cosine", "dot", "l2"):
            rows = np.array(vector["metrics"][name]["rows_quantised"])
            one = metrics[name]
            scores = rows @ np.array(one["query_quantised"]) / scale * one["score_scale"] + one["score_offset"]
            assert np.abs(scores - one["scores"]).max() < 0.006 * one["score_scale"]
        assert metrics["l1"]["query_quantised"] == metrics["l2"]["query_quantised"]


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
    for one in (vector, vector["without_store"], vector["with_metric"]):
        key = unwrap(json.dumps(one["export"]).encode(), vector["passphrase"])
        assert key.to_json() == one["key"]
    assert "store_uid" in vector["key"]
    assert "store_uid" not in vector["without_store"]["key"]


def test_signed_documents_hold_for_whoever_has_ed25519_and_json():
    vector = stored("governance")
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(vector["public_key_hex"]))
    purposes = {"policy": "policy", "receipt": "receipt", "certificate": "erasure certificate"}
    for name, purpose in purposes.items():
        text = vector["signed"][name]
        signed = json.loads(text)
        document = json.dumps(signed["document"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert text == json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert signed["public_key"] == vector["public_key_hex"]
        key.verify(bytes.fromhex(signed["signature"]), envelope.context("unseen-signature-1", purpose, document))
    consent = json.loads(vector["consent"])
    assert consent["pii_principal_id"] == vector["pseudonym_hex"]
    assert consent["privacy_notice"] == vector["policy_digest_hex"]
    assert hashlib.sha256(vector["consent"].encode()).hexdigest() == vector["consent_digest_hex"]
    policy = json.loads(vector["signed"]["policy"])["document"]
    written = json.dumps(policy, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(written.encode()).hexdigest() == vector["policy_digest_hex"]
    assert {name: policy[name] for name in vector["terms"]} == vector["terms"]
