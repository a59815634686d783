"""The reaction attack on an owner's key: a server crafts replies and watches what a device does next.

The forbidden client is built here: it does what people do with hits, ask the server for them, or with errors, ask
again. The real client is asked the same, and every byte that it sends is compared.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.client.hand_driver import Driver
from tests.client.owner_paper import OwnerPaperServer
from unseen.errors import ReplyRefused
from unseen.he.owner import secret
from unseen.he.owner.layout import Layout
from unseen.he.owner.message import SwitchedBlocks, write_reply_blocks
from unseen.he.owner.secret import OwnerKey
from unseen.params import OWNER_DEFAULT as OWNER
from unseen_client.flows import plausible, search
from unseen_client.keys.keystore import KeyStore
from unseen_client.records import row_id

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION, ROWS = 16, 30
LAYOUT = Layout.of(OWNER, DIMENSION, 4)
SIDE = LAYOUT.side
LOUD = 1 << 10
"""What the key is multiplied with, in steps of c1: far above the noise, far below a wrap."""
HALF = LOUD // 2 >> (OWNER.reply_c1_bits - OWNER.reply_c0_bits)
"""Half of that, in steps of c0."""
Crafted = Callable[..., None]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(OwnerPaperServer(), tmp_path / "device")
    driver(driver.protocol.create_collection("secret", None, DIMENSION, None, True, protection="owner"))
    driver(driver.protocol.enrol_vectors("secret", list(map(str, range(ROWS))), vectors(ROWS), None))
    driver(driver.protocol.list("secret", None, 0))
    yield driver
    driver.session.close()
    server_of(driver).close()


def server_of(driver: Driver) -> OwnerPaperServer:
    assert isinstance(driver.server, OwnerPaperServer)
    return driver.server


def vectors(count: int) -> np.ndarray:
    drawn = np.random.default_rng(1).normal(size=(count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def coefficients(shift: int, sign: int) -> Crafted:
    """Rows score half of LOUD where a coefficient of the key has this sign, and less than nothing elsewhere."""
    c0 = np.full((1, SIDE.rows_per_block), (1 << OWNER.reply_c0_bits) - HALF, np.uint32)
    c1, c2 = (np.zeros((1, OWNER.ring_degree), np.uint32) for _ in range(2))
    c1[0, shift] = LOUD if sign > 0 else (1 << OWNER.reply_c1_bits) - LOUD
    crafted = write_reply_blocks(OWNER, SIDE, SwitchedBlocks(c0, c1, c2))

    def answer(header, blocks: bytearray) -> None:
        blocks[:] = crafted

    return answer


def noise(seed: int) -> Crafted:
    def answer(header, blocks: bytearray) -> None:
        blocks[:] = np.random.default_rng(seed).bytes(len(blocks))

    return answer


def honest(header, blocks: bytearray) -> None:
    pass


def ask(driver: Driver) -> list:
    return driver(driver.protocol.search_vector("secret", vectors(1)[0], ROWS))


def fetching(driver: Driver) -> None:
    """The forbidden client that asks the server for what it found: with checks or without, a hit is a message."""
    names = {row_id(key_of(driver).record_key, str(at)): str(at) for at in range(ROWS)}
    found = {hit.id for hit in ask(driver) if hit.score > 0}
    for name, row in sorted(names.items()):
        if row in found:
            server_of(driver).requests.append(("Fetch", (name,)))


def asking_again(driver: Driver) -> None:
    """The forbidden client that takes a refusal for a failure of the network."""
    for _ in range(3):
        try:
            ask(driver)
        except ReplyRefused:
            continue
        return


def real(driver: Driver) -> None:
    with contextlib.suppress(ReplyRefused):  # the user's, and nobody else's
        ask(driver)


def key_of(driver: Driver):
    return KeyStore(driver.session.home).get(server_of(driver).collections["secret"].uid)


@pytest.fixture
def traffic(victim: Driver, monkeypatch: pytest.MonkeyPatch):
    """Everything that the device sends after one reply, and when it pauses, from the same randomness each time."""

    def seen(client: Callable[[Driver], None], reply: Crafted) -> tuple:
        keys = itertools.count(1)

        def counted(count: int) -> bytes:
            cipher = Cipher(algorithms.AES256(next(keys).to_bytes(32, "little")), modes.CTR(bytes(16)))
            return cipher.encryptor().update(bytes(count))

        for module, drawn in ((secret, "keystream"), (secret, "random_bytes"), (plausible, "keystream")):
            monkeypatch.setattr(module, drawn, counted)
        server_of(victim).change_reply = reply
        before, pauses, exchanges = len(server_of(victim).requests), len(victim.pauses), len(victim.exchanges)
        client(victim)
        deadlines = tuple(exchange.timeout_s for exchange in victim.exchanges[exchanges:])
        return tuple(server_of(victim).requests[before:]), tuple(victim.pauses[pauses:]), deadlines

    return seen


def crafted_replies() -> list[tuple[int, int]]:
    return list(itertools.product(range(SIDE.factor), (1, -1)))


def test_a_client_that_fetches_what_it_found_gives_the_key_away(victim: Driver, traffic, monkeypatch) -> None:
    """Without checks, thirty coefficients for every two replies; none is wrong."""
    monkeypatch.setattr(search, "require_plausible", lambda *_: None)
    rows = {row_id(key_of(victim).record_key, str(at)): at for at in range(ROWS)}
    slots = {row: entry.slot for row, (entry, _) in server_of(victim).collections["secret"].rows.items()}
    guessed = np.full(OWNER.ring_degree, 9, np.int8)
    for shift, sign in crafted_replies():
        requests, *_ = traffic(fetching, coefficients(shift, sign))
        fetched = {message for method, (message, *_) in requests if method == "Fetch"}
        for row in rows:
            at = slots[row] * SIDE.factor + SIDE.factor - 1 - shift
            if row in fetched:
                guessed[at] = sign
            elif guessed[at] == 9:
                guessed[at] = 0
    known = guessed != 9
    with OwnerKey(OWNER, key_of(victim).owner_key) as key:
        assert known.sum() == ROWS * SIDE.factor
        assert (guessed[known] == key._secret[known]).all()


def test_a_client_that_asks_again_tells_a_bit_of_each_reply(traffic) -> None:
    assert len({traffic(asking_again, reply) for reply in (honest, noise(1))}) == 2


def test_checks_alone_do_not_make_fetching_safe(traffic) -> None:
    """A refused reply is fetched nothing of, an honest one something: that is a bit."""

    def careful(driver: Driver) -> None:
        with contextlib.suppress(ReplyRefused):
            fetching(driver)

    assert len({traffic(careful, reply) for reply in (honest, noise(1))}) == 2


def test_the_real_client_sends_the_same_bytes_whatever_a_reply_decrypts_to(victim: Driver, traffic) -> None:
    """Calls, their order, every byte of them, pauses and deadlines: one trace for all replies, so no bit of the key."""
    replies = [coefficients(shift, sign) for shift, sign in crafted_replies()]
    replies += [honest, *map(noise, range(12))]
    traces = {traffic(real, reply) for reply in replies}
    assert len(traces) == 1
    requests, pauses, _ = traces.pop()
    assert [method for method, _ in requests] == ["Search"]
    assert not pauses


def test_every_crafted_reply_is_refused_on_the_device(victim: Driver) -> None:
    for reply in [*(coefficients(shift, sign) for shift, sign in crafted_replies()), *map(noise, range(3))]:
        server_of(victim).change_reply = reply
        with pytest.raises(ReplyRefused):
            ask(victim)
    server_of(victim).change_reply = honest
    assert len(ask(victim)) == ROWS
