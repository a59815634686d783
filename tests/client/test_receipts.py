"""What a device keeps of a server's audit log, and how it notices that the server went back: on a real server."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.client.real_server import RealServer
from unseen.audit import tree
from unseen.audit.head import TreeHead, sign_head
from unseen.audit.leaf import ASKED, Details, Leaf, leaf_fields
from unseen.audit.receipt import Receipt
from unseen.entropy import random_uid
from unseen.errors import InvalidConfiguration, LogWentBack, MalformedMessage, ProofBroken
from unseen_client import AsyncClient, Client
from unseen_client.receipts import Act, ReceiptBook

KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([at]) * 32) for at in (1, 2))
KEYS = [KEY.public_key().public_bytes_raw()]
ORIGIN = f"unseen/{'0' * 32}/{'1' * 16}"


def vectors(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 16)).astype(np.float32)


def fill(client: Client, name: str = "rows") -> None:
    client.create_collection(name, dimension=16)
    client.enrol_vectors(name, ["a", "b", "c", "d"], vectors())


# A server put back from a backup


@dataclass
class Rolled:
    """A server that was put back from a backup, and devices that had seen more of it."""

    server: RealServer
    homes: list[Path]
    connected: Client
    """Stayed connected all the time."""


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    folder = tmp_path_factory.mktemp("rolled")
    server = RealServer(folder)
    homes = [folder / f"device-{at}" for at in range(4)]
    for at, home in enumerate(homes):
        with Client(server.address, home=home) as client:
            fill(client, f"rows-{at}")
    server.stop()
    shutil.copytree(server.data, folder / "backup")
    server.start()
    for at, home in enumerate(homes):
        with Client(server.address, home=home) as client:
            client.erase(f"rows-{at}", "a")
    connected = Client(server.address, home=homes[3])
    connected.count("rows-3")
    server.kill()
    shutil.rmtree(server.data)
    shutil.copytree(folder / "backup", server.data)
    server.start()
    yield Rolled(server, homes, connected)
    connected.close()
    server.stop()


def test_a_device_that_kept_a_receipt_notices_a_server_put_back_from_a_backup(rolled: Rolled) -> None:
    for _ in range(2):
        with Client(rolled.server.address, home=rolled.homes[0]) as client:
            with pytest.raises(LogWentBack, match="went back"):
                client.search_vector("rows-0", vectors()[0])
            with pytest.raises(LogWentBack):
                client.list_collections()
    with Client(rolled.server.address, home=rolled.homes[0]) as client:
        client.audit_accept()
        assert client.count("rows-0") == 3, "the copy is older, but the erased row's key is destroyed"
    with Client(rolled.server.address, home=rolled.homes[0]) as client:
        client.audit_check()


def test_a_client_that_stays_connected_notices_at_its_next_act(rolled: Rolled) -> None:
    with pytest.raises(LogWentBack, match="stands at place"):
        rolled.connected.collection("rows-3")


async def test_the_asyncio_client_notices_too(rolled: Rolled) -> None:
    async with AsyncClient(rolled.server.address, home=rolled.homes[1]) as client:
        with pytest.raises(LogWentBack):
            await client.list_collections()
        await client.audit_accept()
        assert "rows-1" in [one.name for one in await client.list_collections()]
        assert leaf_fields((await client.audit_receipts())[-1].leaf)["act"] == "ListCollections"


def test_a_server_put_back_that_went_on_since_is_noticed_as_well(rolled: Rolled, tmp_path: Path) -> None:
    with Client(rolled.server.address, home=tmp_path / "newcomer") as other:
        for at in range(20):
            other.create_collection(f"c{at}", dimension=16)
    with (
        Client(rolled.server.address, home=rolled.homes[2]) as client,
        pytest.raises(LogWentBack, match="another one than before"),
    ):
        client.audit_check()


# What is kept


def test_every_act_leaves_a_receipt_that_the_server_proves_later(client: Client, name: str) -> None:
    fill(client, name)
    client.search_vector(name, vectors()[0])
    client.erase(name, "a")
    kept = client.audit_receipts()
    acts = [leaf_fields(receipt.leaf)["act"] for receipt in kept]
    for act in ("CreateCollection", "EnrolRows", "Search", "EraseRows"):
        assert act in acts
    for receipt in kept:
        assert client.audit_prove(receipt).leaves > receipt.index
    altered = Receipt(kept[0].index, kept[0].leaf.replace(b"local", b"other"), kept[0].head)
    with pytest.raises(ProofBroken):
        client.audit_prove(altered)
    moved = Receipt(kept[0].index + 1, kept[0].leaf, kept[0].head)
    with pytest.raises(ProofBroken):
        client.audit_prove(moved)


def test_an_export_is_whole_and_verified_and_agrees_with_the_receipts(client: Client, name: str) -> None:
    fill(client, name)
    kept = client.audit_receipts()
    lines: list[bytes] = []
    found = client.audit_export(lines.append, against=[kept[0].head, kept[-1].head])
    assert len(lines) == found.leaves + 2
    for receipt in kept:
        assert lines[1 + receipt.index] == receipt.leaf + b"\n"


# Receipts one by one


@pytest.fixture
def book(tmp_path: Path) -> Any:
    book = ReceiptBook(tmp_path / "receipts/store/log.sqlite", ORIGIN)
    book.know_keys(KEYS)
    yield book
    book.close()


class PaperLog:
    """A log in memory that signs whatever a test wants."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []

    def add(self, method: str = "Search", outcome: str = "OK", request_id: bytes = b"", salt: int = 0) -> Receipt:
        leaf = Leaf(method, "me", 0, outcome, Details(request_id=request_id)).to_bytes(bytes([salt]) * 16)
        self.leaves.append(leaf)
        return Receipt(len(self.leaves) - 1, leaf, self.head())

    def head(self, key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> str:
        edge = tree.RightEdge()
        for leaf in self.leaves:
            edge.append(tree.leaf_hash(leaf))
        return sign_head(TreeHead(origin, edge.size, edge.root()), key)

    def consistency(self, old: int) -> tuple[bytes, ...]:
        nodes: list[bytes] = []
        edge = tree.RightEdge()
        for leaf in self.leaves:
            nodes += edge.append(tree.leaf_hash(leaf))
        return tree.consistency_proof(old, edge.size, lambda level, index: nodes[tree.node_place(level, index)])


def take(book: ReceiptBook, receipt: Receipt, method: str = "Search", request_id: bytes = b"") -> None:
    book.take(receipt.to_bytes(), Act(method, request_id, book.size))


def test_receipts_are_kept_for_the_owner_alone_and_found_after_reopening(book: ReceiptBook, tmp_path: Path) -> None:
    log = PaperLog()
    receipts = [log.add() for _ in range(3)]
    for receipt in receipts:
        take(book, receipt)
    path = tmp_path / "receipts/store/log.sqlite"
    again = ReceiptBook(path, ORIGIN)
    assert again.receipts() == receipts
    assert again.seen == (3, log.head())
    again.close()
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.parent.iterdir())
    path.chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="others can reach"):
        ReceiptBook(path, ORIGIN)
    path.chmod(0o600)


def test_a_receipt_for_another_act_is_refused(book: ReceiptBook) -> None:
    mine, other = random_uid(), random_uid()
    for receipt, method, request_id in (
        (PaperLog().add("Search"), "EraseRows", b""),
        (PaperLog().add("EraseRows", ASKED, mine), "EraseRows", mine),
        (PaperLog().add("EraseRows", "OK", other), "EraseRows", mine),
        (PaperLog().add("EraseRows", "OK"), "EraseRows", mine),
    ):
        with pytest.raises(ProofBroken, match="another act"):
            take(book, receipt, method, request_id)
    assert book.receipts() == []


def test_every_receipt_that_was_taken_is_refused_when_it_is_replayed(book: ReceiptBook) -> None:
    log = PaperLog()
    receipts = [log.add() for _ in range(5)]
    for receipt in receipts:
        take(book, receipt)
    for receipt in receipts:
        with pytest.raises(LogWentBack):
            take(book, receipt)


def test_two_logs_of_one_size_are_noticed(book: ReceiptBook) -> None:
    one, other = PaperLog(), PaperLog()
    one.add(), one.add()
    take(book, one.add())
    other.add(), other.add(salt=1)
    forked = other.add()
    with pytest.raises(LogWentBack):
        book.take(forked.to_bytes(), Act("Search", b"", 0))
    with pytest.raises(LogWentBack, match="another one"):
        book.advance(other.head(), (), book.head)


def test_what_shows_a_fork_is_kept_though_it_is_refused(book: ReceiptBook) -> None:
    log, fork = PaperLog(), PaperLog()
    log.add(), log.add()
    mine = log.add()
    fork.add(), fork.add(salt=1)
    early = fork.head()
    forked = fork.add(salt=2)
    book.advance(log.head(), (), None)
    with pytest.raises(LogWentBack, match="two different logs of 3 leaves"):
        book.take(forked.to_bytes(), Act("Search", b"", 0))
    with pytest.raises(LogWentBack, match="has 2 leaves"):
        book.advance(early, (), book.head)
    with pytest.raises(LogWentBack, match="another one than before"):
        book.advance(fork.head(), (), book.head)
    take_back = Act("Search", b"", 0)
    book.take(mine.to_bytes(), take_back)
    fork.add()
    longer = Receipt(2, forked.leaf, fork.head())
    with pytest.raises(LogWentBack, match="two acts of this device stand at place 2"):
        book.take(longer.to_bytes(), take_back)
    again = Receipt(2, mine.leaf, fork.head())
    for _ in range(2):  # a server that says it again adds nothing
        with pytest.raises(LogWentBack, match="this device has seen 3 before it"):
            take(book, again)
    shown = [forked.to_bytes(), early.encode(), forked.head.encode(), longer.to_bytes(), again.to_bytes()]
    kept = [mine.head.encode(), *shown]  # the head that none of them fits is there once
    assert book.evidence() == kept
    assert (book.receipts(), book.seen) == ([mine], (3, mine.head))
    book.forget()
    assert book.evidence() == kept


def test_only_so_much_evidence_is_kept_and_the_first_of_it(book: ReceiptBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen_client.receipts.MOST_EVIDENCE", 3)
    log = PaperLog()
    receipts = [log.add() for _ in range(5)]
    book.advance(log.head(), (), None)
    for receipt in receipts:
        with pytest.raises(LogWentBack):
            take(book, receipt)
    assert book.evidence() == [log.head().encode(), *(receipt.to_bytes() for receipt in receipts[:2])]


def test_a_disk_that_takes_no_evidence_hides_nothing(book: ReceiptBook, tmp_path: Path) -> None:
    log = PaperLog()
    first = log.add()
    take(book, first)
    with sqlite3.connect(tmp_path / "receipts/store/log.sqlite") as database:
        database.execute("DROP TABLE evidence")
    database.close()
    with pytest.raises(LogWentBack) as caught:
        take(book, first)
    assert "could not be kept" in caught.value.__notes__[0]


def test_a_head_is_taken_only_when_the_log_goes_on_from_the_one_before(book: ReceiptBook) -> None:
    log = PaperLog()
    take(book, log.add())
    take(book, log.add())
    before = book.head
    for _ in range(7):
        log.add()
    with pytest.raises(LogWentBack):
        book.advance(log.head(), (), before)
    assert book.advance(log.head(), log.consistency(2), before).size == 9
    assert book.size == 9
    shorter = PaperLog()
    shorter.add()
    with pytest.raises(LogWentBack, match="1 leaves, this device has seen 9"):
        book.advance(shorter.head(), (), book.head)


def test_heads_of_other_keys_and_logs_are_refused(book: ReceiptBook) -> None:
    log = PaperLog()
    receipt = log.add()
    for head in (log.head(OTHER_KEY), log.head(origin=ORIGIN[:-1] + "2")):
        with pytest.raises(ProofBroken):
            take(book, Receipt(0, receipt.leaf, head))


def test_a_log_is_known_by_the_keys_that_it_showed_first_and_by_no_others(book: ReceiptBook) -> None:
    newer = OTHER_KEY.public_key().public_bytes_raw()
    with pytest.raises(LogWentBack, match="nothing vouches for"):
        book.know_keys([*KEYS, newer])
    assert book.public_keys == tuple(KEYS)
    log = PaperLog()
    leaf = log.add().leaf
    with pytest.raises(ProofBroken):
        take(book, Receipt(0, leaf, log.head(OTHER_KEY)))
    with pytest.raises(LogWentBack, match="no longer signs"):
        book.know_keys([newer])
    for keys in ([], [b"short"], [*KEYS, newer, b""]):
        with pytest.raises(MalformedMessage):
            book.know_keys(keys)
    book.know_keys(KEYS)
    take(book, Receipt(0, leaf, log.head()))
    book.forget()
    book.know_keys([*KEYS, newer])
    assert book.public_keys == (*KEYS, newer)


def test_only_so_many_receipts_are_kept(book: ReceiptBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen_client.receipts.MOST_RECEIPTS", 3)
    log = PaperLog()
    for _ in range(7):
        take(book, log.add())
    assert [receipt.index for receipt in book.receipts()] == [4, 5, 6]
    assert book.size == 7
