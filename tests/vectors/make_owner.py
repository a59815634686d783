"""Writes ``owner.json`` beside it: the formats of the owner-encrypted index, to hold another implementation against.

    python -m tests.vectors.make_owner

Key, expansion and reply are exact. Query and block are encryptions, drawn once at the time of writing: those are for
scanning and decrypting. Make it anew only when a format changes, which makes stored rows unreadable.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from unseen.he.owner.compiled_uniform import uniform_residues
from unseen.he.owner.scan import OwnerScanIndex
from unseen.he.owner.secret import OwnerKey
from unseen.he.packing import Packing
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.params import OWNER_DEFAULT

HERE = Path(__file__).parent
ROOT, SEED = bytes(range(32)), bytes(range(32, 64))
PACKING = Packing(OWNER_DEFAULT.ring_degree, 8, 8)
ROWS = np.array(
    [[1, 0, 0, 0, 0, 0, 0, 0], [3, -1, 4, 1, -5, 9, -2, 6], [-1, 1, -1, 1, -1, 1, -1, 1], [0.1, 0, 0, 0, 0, 0, 0, 5]],
    np.float32,
)
QUERY = np.array([3, -1, 4, 1, -5, 9, -2, 5.5], np.float32)
SHOWN = 8
"""Values of a polynomial that are written out; a hash stands for the rest."""


def exact() -> dict[str, object]:
    """What follows from fixed inputs alone."""
    key = OwnerKey(OWNER_DEFAULT, ROOT)
    residues = uniform_residues(SEED, 2, OWNER_DEFAULT.ring_degree, OWNER_DEFAULT.moduli)
    return {
        "parameter_id": OWNER_DEFAULT.id,
        "dimension": PACKING.dimension,
        "packing_factor": PACKING.factor,
        "root_hex": ROOT.hex(),
        "fingerprint_hex": key.fingerprint.hex(),
        "secret_key_starts": key._secret[:SHOWN].tolist(),
        "secret_key_sha256": hashlib.sha256(key._secret.tobytes()).hexdigest(),
        "seed_hex": SEED.hex(),
        "c1_starts": residues[:, :, :SHOWN].tolist(),
        "c1_sha256": hashlib.sha256(residues.astype("<u2").tobytes()).hexdigest(),
        "rows": quantise_rows(OWNER_DEFAULT, ROWS).tolist(),
        "query": quantise_query(OWNER_DEFAULT, QUERY).tolist(),
        "exact_scores": plain_scores(quantise_rows(OWNER_DEFAULT, ROWS), quantise_query(OWNER_DEFAULT, QUERY)).tolist(),
    }


def reply_to(query: bytes, block: bytes) -> bytes:
    index = OwnerScanIndex(OWNER_DEFAULT, PACKING.dimension, PACKING.factor)
    index.put_block(0, block)
    reply = bytearray()
    index.answer(query, len(ROWS), reply.extend)
    return bytes(reply)


def main() -> None:
    key = OwnerKey(OWNER_DEFAULT, ROOT)
    query = key.encrypt_query(PACKING, quantise_query(OWNER_DEFAULT, QUERY))
    (block,) = key.encrypt_rows(PACKING, quantise_rows(OWNER_DEFAULT, ROWS))
    reply = reply_to(query, block)
    drawn = {
        "query_hex": query.hex(),
        "block_hex": block.hex(),
        "reply_hex": reply.hex(),
        "raw_scores": key.decrypt(PACKING, reply)[: len(ROWS)].tolist(),
    }
    (HERE / "owner.json").write_text(json.dumps({**exact(), **drawn}, indent=1) + "\n")


if __name__ == "__main__":
    main()
