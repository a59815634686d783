"""Writes the JSON files beside it: enough, with docs/protocol.md and docs/formats.md, to write a client elsewhere.

    python -m tests.vectors.make                 # all; with core/ and client/ on the path, or unseen installed
    python -m tests.vectors.make parameters      # one

Everything comes from fixed inputs and exact arithmetic, the query's key too, so that another language can make the same
bytes. Only what is random by design (nonces of seals, a server's mask) was drawn once, at the time of writing: those
vectors are for opening. ``tests/vectors/test_vectors.py`` holds the files against the code. Make them anew only when a
format changes, which is a break of the contract.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.core.governance import written
from unseen import envelope
from unseen.governance.certificate import Act, Asked, ErasureCertificate, Receipt
from unseen.governance.policy import Policy
from unseen.governance.subject import pseudonym
from unseen.he.bits import pack_bits
from unseen.he.expand import expand_seeds
from unseen.he.mask import MaskSource
from unseen.he.message import EncryptedQuery, query_bytes, reply_block_bytes, write_query
from unseen.he.packing import Packing, choose_factor
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen.he.scan import ScanIndex
from unseen.he.secret import ReplyKey
from unseen.params import DEFAULT, PUBLISHED
from unseen.types import SLOTS_PER_EXTENT
from unseen_client.keys.key_export import wrap
from unseen_client.keys.keystore import CollectionKey
from unseen_client.keys.passphrase import Stretching
from unseen_client.records import Record, encode_record, pad, row_id, seal_record
from unseen_client.retrieval.fuse import Fused, MadePart, fused
from unseen_client.retrieval.metric import NAMES, Float64Array, Metric, metric_of

HERE = Path(__file__).parent
KEY, UID, STORE = bytes(range(32)), bytes(range(16, 32)), bytes(range(32, 48))
PACKING = Packing(DEFAULT.ring_degree, 8, 8)
ROWS = np.array(
    [[1, 0, 0, 0, 0, 0, 0, 0], [3, -1, 4, 1, -5, 9, -2, 6], [-1, 1, -1, 1, -1, 1, -1, 1], [0.1, 0, 0, 0, 0, 0, 0, 5]],
    np.float32,
)
QUERY = np.array([3, -1, 4, 1, -5, 9, -2, 5.5], np.float32)


def main(names: list[str]) -> None:
    makers = {
        "parameters": parameters,
        "quantise": quantise,
        "packing": packing,
        "bits": bits,
        "expand": expand,
        "search": search,
        "envelope": sealing,
        "record": record,
        "key_export": key_export,
        "governance": governance,
        "partial_reply": partial_reply,
        "metrics": metrics,
    }
    for name in names or makers:
        (HERE / f"{name}.json").write_text(json.dumps(makers[name](), indent=1) + "\n")


def parameters() -> object:
    """A set's id: SHA-256 of the canonical JSON of its numbers, the first 16 hex digits."""
    return [
        {"id": one.id, "name": one.name, "numbers": {key: value for key, value in asdict(one).items() if key != "name"}}
        for one in PUBLISHED
    ]


def quantise() -> object:
    """Vectors to the integers that travel, and raw scores back to cosines."""
    rows, query = quantise_rows(DEFAULT, ROWS), quantise_query(DEFAULT, QUERY)
    raw = plain_scores(rows, query)
    return {
        "parameter_id": DEFAULT.id,
        "rows": {"vectors": ROWS.tolist(), "quantised": rows.tolist(), "wire_hex": rows.astype("<i2").tobytes().hex()},
        "query": {"vector": QUERY.tolist(), "quantised": query.tolist()},
        "raw_scores": raw.tolist(),
        "cosines": to_cosines(DEFAULT, raw).tolist(),
    }


def metrics() -> object:
    """Vectors to rows and queries for every metric, and what makes a score of a cosine; l1's candidates are l2's."""
    longest = 16.0
    rows, plain = ROWS.astype(np.float64), QUERY.astype(np.float64)
    return {
        "parameter_id": DEFAULT.id,
        "longest": longest,
        "vectors": ROWS.tolist(),
        "query": QUERY.tolist(),
        "metrics": {name: _metric(metric_of(name, longest), rows, plain) for name in NAMES},
        "fused": {
            "weights": [1.0, -0.5],
            "queries": [QUERY.tolist(), ROWS[2].tolist()],
            "metrics": {
                name: _fused(fused(metric_of(name, longest), [MadePart(QUERY, 1.0), MadePart(ROWS[2], -0.5)]), rows)
                for name in NAMES
            },
        },
    }


def _metric(metric: Metric, rows: Float64Array, query: Float64Array) -> object:
    made = metric.rows(rows).astype(np.float32)
    return {
        "rows_quantised": quantise_rows(DEFAULT, made).tolist(),
        **_fused(fused(metric, [MadePart(query, 1.0)]), rows),
    }


def _fused(one: Fused, rows: Float64Array) -> dict[str, object]:
    return {
        "query_quantised": quantise_query(DEFAULT, one.direction).tolist(),
        "score_scale": round(one.length, 6),
        "score_offset": round(one.offset, 6),
        "scores": one.exact(rows).round(6).tolist(),
    }


def packing() -> object:
    """Chunks, blocks, lengths and the places of coordinates, for shapes that pad and shapes that do not."""
    shapes = [(8, 8, 1), (512, 4, 513), (512, 512, 1), (100, 32, 65), (4096, 1, 2048)]
    return {
        "parameter_id": DEFAULT.id,
        "shapes": [_shape(Packing(DEFAULT.ring_degree, dimension, k), slots) for dimension, k, slots in shapes],
        "query_polynomials": {
            "packing_factor": 4,
            "query": list(range(1, 11)),
            "lowest_coefficients": Packing(2048, 10, 4).query_polynomials(np.arange(1, 11)).tolist(),
        },
    }


def _shape(one: Packing, slots: int) -> object:
    return {
        "dimension": one.dimension,
        "packing_factor": one.factor,
        "slots": slots,
        "chunks": one.chunks,
        "rows_per_block": one.rows_per_block,
        "blocks": one.blocks(slots),
        "query_bytes": query_bytes(DEFAULT, one),
        "reply_bytes": one.blocks(slots) * reply_block_bytes(DEFAULT, one),
        "least_traffic_factor": choose_factor(DEFAULT, one.dimension, slots),
    }


def bits() -> object:
    """Runs of fixed-width values, lowest bit first."""
    values = [0, 1, 5, 4095, 2048, 77]
    return [
        {"width": width, "values": values, "hex": pack_bits(np.array([values], np.uint32), width)[0].tobytes().hex()}
        for width in (12, 17, 25, 29)
    ]


def expand() -> object:
    """A seed to the uniform polynomial c1 that it stands for."""
    seeds = np.stack([np.arange(64), 255 - np.arange(64), np.zeros(64)]).astype(np.uint8)
    residues = expand_seeds(seeds, DEFAULT.ring_degree, DEFAULT.modulus)
    return [
        {
            "seed_hex": seed.tobytes().hex(),
            "first": polynomial[:4].tolist(),
            "last": polynomial[-4:].tolist(),
            "sha256_of_uint32_le": hashlib.sha256(polynomial.astype("<u4").tobytes()).hexdigest(),
        }
        for seed, polynomial in zip(seeds, residues, strict=True)
    ]


def search() -> object:
    """A query under a fixed key, bytes and all, a masked reply to it, and what it decrypts to."""
    query, rows = quantise_query(DEFAULT, QUERY), quantise_rows(DEFAULT, ROWS)
    data = write_query(DEFAULT, PACKING, encrypted(query))
    reply = _reply(data, rows)
    return {
        "parameter_id": DEFAULT.id,
        "dimension": PACKING.dimension,
        "packing_factor": PACKING.factor,
        "secret_key": "coefficient i is (7919 i mod 3) - 1",
        "error": "coefficient i of ciphertext j is ((104729 i + 31 j) mod 7) - 3",
        "seeds_hex": [seed.tobytes().hex() for seed in _seeds()],
        "query": query.tolist(),
        "query_hex": data.hex(),
        "slots": len(rows),
        "rows": rows.tolist(),
        "reply_hex": reply.hex(),
        "raw_scores": ReplyKey(DEFAULT, PACKING, secret_key()).decrypt(reply)[: len(rows)].tolist(),
        "exact_scores": plain_scores(rows, query).tolist(),
    }


def secret_key() -> np.ndarray:
    """Fixed, so anything but secret: (N,) of -1, 0, 1."""
    return np.arange(DEFAULT.ring_degree) * 7919 % 3 - 1


def encrypted(query: np.ndarray) -> EncryptedQuery:
    """c0 = round(q/t m) - c1 s + e for each chunk, and without m for the public key."""
    seeds, q, t, n = _seeds(), DEFAULT.modulus, DEFAULT.plain_modulus, DEFAULT.ring_degree
    message = np.zeros((PACKING.chunks + 1, n), np.int64)
    message[:-1, : PACKING.factor] = PACKING.query_polynomials(query)
    scaled = (message * q + t // 2) // t
    error = np.array([(104729 * np.arange(n) + 31 * chunk) % 7 - 3 for chunk in range(len(seeds))])
    products = np.array([negacyclic(c1, secret_key(), q) for c1 in expand_seeds(seeds, n, q)])
    return EncryptedQuery(seeds, ((scaled - products + error) % q).astype(np.uint32))


def negacyclic(left: np.ndarray, right: np.ndarray, modulus: int) -> np.ndarray:
    """Product in Z_q[X]/(X^N + 1), the schoolbook way."""
    whole = np.convolve(left.astype(np.int64), right.astype(np.int64))
    whole = np.append(whole, np.zeros(2 * len(left) - len(whole), np.int64))
    return (whole[: len(left)] - whole[len(left) :]) % modulus


def _seeds() -> np.ndarray:
    return (np.arange((PACKING.chunks + 1) * 64).reshape(-1, 64) * 37 % 251).astype(np.uint8)


def _reply(query: bytes, rows: np.ndarray) -> bytes:
    masks = MaskSource(DEFAULT)
    index = ScanIndex(DEFAULT, PACKING.dimension, PACKING.factor, masks)
    index.put(np.arange(len(rows)), rows)
    parts: list[bytes] = []
    index.answer(query, len(rows), parts.append, lambda: False)
    masks.close()
    return b"".join(parts)


def sealing() -> object:
    """Contexts, sealed bytes to open, derived keys."""
    where = ("record", UID, b"row-id-of-16-byt", 7)
    return {
        "key_hex": KEY.hex(),
        "context_parts": ["s:record", f"b:{UID.hex()}", f"b:{b'row-id-of-16-byt'.hex()}", "i:7"],
        "context_hex": envelope.context(*where).hex(),
        "plaintext_hex": b"hello".hex(),
        "sealed_hex": envelope.seal(KEY, b"hello", envelope.context(*where)).hex(),
        "derived": {"purpose": "purpose", "key_hex": envelope.derive_key(KEY, b"purpose").hex()},
    }


def record() -> object:
    """A record: its row id, its bytes, its padding, and sealed bytes to open."""
    one = Record(
        id="cat-1",
        name="cat.jpg",
        caption="a cat",
        tags=("pet", "indoors"),
        link="file:cat.jpg",
        thumbnail=b"\xff\xd8\xff\xd9",
        vector=np.array([0.5, -0.5, 0.5, -0.5], np.float32),
        extra={"camera": "none", "a": "b"},
    )
    row = row_id(KEY, one.id)
    return {
        "record_key_hex": KEY.hex(),
        "collection_uid_hex": UID.hex(),
        "fields": {
            "id": one.id,
            "name": one.name,
            "caption": one.caption,
            "tags": list(one.tags),
            "link": one.link,
            "thumbnail_hex": one.thumbnail.hex(),
            "vector": [0.5, -0.5, 0.5, -0.5],
            "extra": dict(one.extra),
        },
        "row_id_hex": row.hex(),
        "encoded_hex": encode_record(one).hex(),
        "padded_hex": pad(encode_record(one)).hex(),
        "context_hex": envelope.context("record", UID, row).hex(),
        "sealed_hex": seal_record(KEY, UID, one).hex(),
    }


def key_export() -> object:
    """Key exports to open, in the second, first and third format; their scrypt cost is small: a test is quick."""
    keys = [
        CollectionKey(UID, "photos", KEY, True, STORE),
        CollectionKey(UID, "photos", KEY, True),
        CollectionKey(UID, "readings", KEY, True, STORE, "l2", 12.5),
    ]
    exports = [wrap(key, "correct horse battery", Stretching(bytes(range(16)), 1 << 10)) for key in keys]
    pairs = [{"export": json.loads(one), "key": key.to_json()} for one, key in zip(exports, keys, strict=True)]
    return {"passphrase": "correct horse battery", **pairs[0], "without_store": pairs[1], "with_metric": pairs[2]}


def governance() -> object:
    """A pseudonym, and signed documents under fixed keys: a policy, a consent, a receipt, a certificate."""
    agreed = written.policy(UID)
    given = written.consent(agreed, pii_principal_id=pseudonym(KEY, "patient 17"))
    receipt = Receipt(Act.CONSENT_RECORDED, UID, given.digest, written.NOON)
    erased = ErasureCertificate(written.RECORD, UID, Asked.SUBJECT, given.pii_principal_id, 7, 41, 42, written.NOON)
    documents: dict[str, Policy | Receipt | ErasureCertificate] = {
        "policy": agreed,
        "receipt": receipt,
        "certificate": erased,
    }
    return {
        "record_key_hex": KEY.hex(),
        "subject": "patient 17",
        "pseudonym_hex": given.pii_principal_id.hex(),
        "private_key_hex": written.CONTROLLER.private_key.hex(),
        "public_key_hex": written.CONTROLLER.public_key.hex(),
        "terms": agreed.terms(),
        "policy_digest_hex": agreed.digest.hex(),
        "consent": given.to_bytes().decode(),
        "consent_digest_hex": given.digest.hex(),
        "signed": {
            name: document.signed(written.CONTROLLER.public_key, written.CONTROLLER.sign).to_bytes().decode()
            for name, document in documents.items()
        },
    }


def partial_reply() -> object:
    """Which slot each row of each block of a reply stands for, when only some extents follow."""
    cases = [(5000, 4, [(0, 1), (2, 1)]), (5000, 64, [(1, 2)]), (2049, 4, [(1, 1)]), (6144, 4, [(0, 3)]), (100, 4, [])]
    return [_partial(slots, factor, runs) for slots, factor, runs in cases]


def _partial(slots: int, factor: int, runs: list[tuple[int, int]]) -> object:
    one = Packing(DEFAULT.ring_degree, 512, factor)
    spans = [(first * SLOTS_PER_EXTENT, min((first + count) * SLOTS_PER_EXTENT, slots)) for first, count in runs]
    firsts = [first + at * one.rows_per_block for first, end in spans for at in range(one.blocks(end - first))]
    return {
        "slots": slots,
        "packing_factor": factor,
        "rows_per_block": one.rows_per_block,
        "extents": [{"first": first, "count": count} for first, count in runs],
        "blocks": len(firsts),
        "first_slot_of_each_block": firsts,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
