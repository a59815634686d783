"""By which keys a device knows which servers, read without changing anything."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from unseen.errors import InvalidConfiguration, StoreFailed
from unseen_client.known_servers import keys_in, known_servers
from unseen_client.receipts import ReceiptBook

KEYS = [bytes([at]) * 32 for at in range(4)]


def write_book(home: Path, store: str, tenant: str, keys: list[bytes]) -> Path:
    path = home / "receipts" / store / f"{tenant}.sqlite"
    with closing(ReceiptBook(path, f"unseen/{store}/{tenant}")) as book:
        if keys:
            book.know_keys(keys)
    return path


def test_a_device_that_knows_no_server_makes_nothing(tmp_path: Path) -> None:
    assert known_servers(tmp_path / "home").keys == {}
    assert list(tmp_path.iterdir()) == []


def test_every_server_is_found_by_every_key_of_each_of_its_logs(tmp_path: Path) -> None:
    one, other = "1" * 32, "2" * 32
    write_book(tmp_path, one, "a", KEYS[:2])
    write_book(tmp_path, one, "b", KEYS[1:3])
    write_book(tmp_path, other, "a", KEYS[2:3])
    write_book(tmp_path, "3" * 32, "a", [])
    known = known_servers(tmp_path)
    assert [known.signing(key) for key in KEYS] == [[one], [one], [one, other], []]
    assert known.unreadable == ()


def test_a_damaged_book_is_named_and_hides_no_other(tmp_path: Path) -> None:
    whole, damaged, foreign, bent, open_to_others = (
        write_book(tmp_path, str(at) * 32, "a", KEYS[:1]) for at in range(5)
    )
    damaged.write_bytes(b"no database " * 1000)
    for path, change in ((foreign, "DROP TABLE log"), (bent, "UPDATE log SET public_keys = 'a text'")):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(change)
    open_to_others.chmod(0o644)
    known = known_servers(tmp_path)
    assert known.keys == {whole.parent.name: frozenset(KEYS[:1])}
    spoiled = (damaged, foreign, bent, open_to_others)
    assert all(str(path) in words for path, words in zip(spoiled, known.unreadable, strict=True))
    for path in spoiled:
        with pytest.raises((StoreFailed, InvalidConfiguration)):
            keys_in(path)


def test_a_book_that_is_read_is_not_written(tmp_path: Path) -> None:
    path = write_book(tmp_path, "1" * 32, "a", KEYS[:1])
    older = write_book(tmp_path, "2" * 32, "a", KEYS[1:2])
    with closing(sqlite3.connect(older)) as database:
        database.execute("DROP TABLE evidence")  # as an earlier build made it
    before = {one: one.read_bytes() for one in (path, older)}
    path.chmod(0o400)
    assert known_servers(tmp_path).signing(KEYS[1]) == ["2" * 32]
    assert {one: one.read_bytes() for one in (path, older)} == before


def test_a_book_that_another_process_writes_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with ?, # and %41"
    path = folder / "receipts" / ("1" * 32) / "a.sqlite"
    with closing(ReceiptBook(path, "unseen/a/b")) as book:
        book.know_keys(KEYS[:1])
        assert keys_in(path) == (KEYS[0],)
    shutil.rmtree(folder)
    with pytest.raises(StoreFailed):
        keys_in(path)
