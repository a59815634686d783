"""What a server learns by answering an owner's query with anything: nothing, and what it may not answer.

The forbidden mode, in which scores come back to the server, gives the key away in eight replies:
tests/attacks/test_owner_scores_sent_back.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen.errors import MalformedMessage, ServerUnavailable
from unseen.he.owner.layout import Layout
from unseen.he.owner.secret import OwnerKey
from unseen.params import OWNER_DEFAULT as OWNER
from unseen.v1 import search_pb2

ROWS, DIMENSION, FACTOR = 5, 16, 4
LAYOUT = Layout.of(OWNER, DIMENSION, FACTOR)
SIZE = LAYOUT.reply_bytes(1, 0)


@pytest.fixture
def owner_device(device, unit_vectors):
    """A device whose key is an owner's, with a mirror of rows in the first side block."""
    device(device.protocol.create_collection("secret", None, DIMENSION, None, True))
    device(device.protocol.enrol_vectors("secret", [str(at) for at in range(ROWS)], unit_vectors(ROWS), None))
    device(device.protocol.list("secret", None, 0))
    collection = device.server.collections["secret"]
    assert collection.factor == FACTOR
    collection.parameter_id = OWNER.id
    held = device.session.keys.get(collection.uid)
    device.session.keys.forget(collection.uid)
    device.session.keys.put(replace(held, owner_key=bytes(range(32))))
    device.session.forget("secret")
    device(device.protocol.collection("secret"))
    return device


def answer(device, *blocks, **fields):
    header = {"epoch": 1, "slots": ROWS, "blocks": 1, "side_blocks": 1} | fields
    parts = [search_pb2.SearchResponse(header=search_pb2.SearchReplyHeader(**header))]
    parts += [search_pb2.SearchResponse(blocks=block) for block in blocks]
    device.server.on_search = lambda _: iter(parts)


def search(device, unit_vectors):
    return device(device.protocol.search_vector("secret", unit_vectors(1)[0], ROWS))


def test_whatever_a_reply_decrypts_to_the_server_sees_one_search_and_nothing_after_it(owner_device, unit_vectors):
    random = np.random.default_rng(1)
    replies = [bytes(SIZE), b"\xff" * SIZE, *(random.bytes(SIZE) for _ in range(6))]
    replies += [bytes(at) + b"\x40" + bytes(SIZE - at - 1) for at in (0, 1, 5632, 9984)]
    seen, found = set(), set()
    for reply in replies:
        answer(owner_device, reply)
        before, pauses = len(owner_device.server.log), len(owner_device.pauses)
        received = len(owner_device.server.received)
        hits = search(owner_device, unit_vectors)
        found.add(tuple(hit.score for hit in hits))
        sent = len(owner_device.server.received) - received
        seen.add((tuple(owner_device.server.log[before:]), sent, len(owner_device.pauses) - pauses))
    assert len(found) > len(replies) / 2  # they do decrypt to other scores
    assert len(seen) == 1
    assert next(iter(seen))[0] == ("Search",)


def test_a_reply_is_decrypted_after_the_last_question(owner_device, unit_vectors, monkeypatch):
    """A reply that names a newer epoch has the catalogue asked for: decrypting may not come before."""
    asked, decrypt = [], OwnerKey.decrypt

    def noted(key, packing, blocks):
        asked.append(owner_device.server.log[before:])
        return decrypt(key, packing, blocks)

    monkeypatch.setattr(OwnerKey, "decrypt", noted)
    collection = owner_device.server.collections["secret"]
    collection.epoch += 1
    answer(owner_device, bytes(SIZE), epoch=collection.epoch)
    before = len(owner_device.server.log)
    search(owner_device, unit_vectors)
    assert asked == [owner_device.server.log[before:]] == [["Search", "SyncCatalogue"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"blocks": 2},
        {"side_blocks": 33, "blocks": 33},
        {"side_blocks": 0},
        {"slots": (1 << 28) + 1},
        {"partial": True},
        {"slots": LAYOUT.side_slots + 1},
        {"epoch": 1 << 63},
    ],
)
def test_headers_that_do_not_fit_are_malformed(owner_device, unit_vectors, fields):
    answer(owner_device, bytes(SIZE), **fields)
    with pytest.raises(MalformedMessage):
        search(owner_device, unit_vectors)


@pytest.mark.parametrize(
    ("blocks", "refusal"),
    [((bytes(SIZE), b"x"), MalformedMessage), ((b"",), MalformedMessage), ((bytes(SIZE - 1),), ServerUnavailable)],
    ids=["more than named", "empty", "cut"],
)
def test_blocks_that_do_not_fit_are_refused_before_anything_is_decrypted(
    owner_device, unit_vectors, monkeypatch, blocks, refusal
):
    def never(*_):
        raise AssertionError("decrypted")

    monkeypatch.setattr(OwnerKey, "decrypt", never)
    answer(owner_device, *blocks)
    with pytest.raises(refusal):
        search(owner_device, unit_vectors)
