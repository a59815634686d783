"""When a device decrypts a reply to an owner's query, and which headers and lengths it refuses before that.

What it makes of what it decrypted: test_plausible.py. What a server learns of that: tests/attacks.
"""

from __future__ import annotations

import pytest

from tests.client.hand_driver import Driver
from tests.client.owner_paper import OwnerPaperServer
from unseen.errors import MalformedMessage, ReplyRefused, ServerUnavailable
from unseen.he.owner.layout import Layout
from unseen.he.owner.secret import OwnerKey
from unseen.params import OWNER_DEFAULT as OWNER
from unseen.v1 import search_pb2

pytestmark = pytest.mark.usefixtures("locked_keys")

ROWS, DIMENSION, FACTOR = 5, 16, 4
LAYOUT = Layout.of(OWNER, DIMENSION, FACTOR)
SIZE = LAYOUT.reply_bytes(1, 0)


@pytest.fixture
def owner_device(home, unit_vectors):
    """A device with a mirror of rows in the first side block."""
    driver = Driver(OwnerPaperServer(), home)
    driver(driver.protocol.create_collection("secret", None, DIMENSION, None, True, protection="owner"))
    driver(driver.protocol.enrol_vectors("secret", [str(at) for at in range(ROWS)], unit_vectors(ROWS), None))
    driver(driver.protocol.list("secret", None, 0))
    assert driver.server.collections["secret"].factor == FACTOR
    yield driver
    driver.session.close()
    driver.server.close()


def answer(device, *blocks, **fields):
    header = {"epoch": 1, "slots": ROWS, "blocks": 1, "side_blocks": 1} | fields
    parts = [search_pb2.SearchResponse(header=search_pb2.SearchReplyHeader(**header))]
    parts += [search_pb2.SearchResponse(blocks=block) for block in blocks]
    device.server.on_search = lambda _: iter(parts)


def search(device, unit_vectors):
    return device(device.protocol.search_vector("secret", unit_vectors(1)[0], ROWS))


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
    with pytest.raises(ReplyRefused):
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
