"""The vectors of the owner-encrypted index are what the code does: rows that were stored once stay readable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.vectors import make_owner
from unseen.he.owner.noise import noise_std
from unseen.he.owner.secret import OwnerKey
from unseen.params import OWNER_DEFAULT


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((Path(__file__).parent / "owner.json").read_text())


def test_key_and_expansion_are_made_the_same(stored: dict) -> None:
    made = json.loads(json.dumps(make_owner.exact()))
    assert {name: stored[name] for name in made} == made


def test_a_server_answers_the_stored_query_with_the_stored_reply(stored: dict) -> None:
    query, block = bytes.fromhex(stored["query_hex"]), bytes.fromhex(stored["block_hex"])
    assert make_owner.reply_to(query, block).hex() == stored["reply_hex"]


def test_the_stored_reply_decrypts_to_the_stored_scores(stored: dict) -> None:
    with OwnerKey(OWNER_DEFAULT, bytes.fromhex(stored["root_hex"])) as key:
        raw = key.decrypt(make_owner.PACKING, bytes.fromhex(stored["reply_hex"]))
    assert raw[: len(stored["rows"])].tolist() == stored["raw_scores"]
    errors = np.array(stored["raw_scores"]) - np.array(stored["exact_scores"])
    scale = OWNER_DEFAULT.query_scale * OWNER_DEFAULT.row_scale
    assert np.abs(errors).max() / scale < 6.5 * noise_std(OWNER_DEFAULT, make_owner.PACKING)
