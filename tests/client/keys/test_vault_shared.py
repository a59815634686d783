"""One home, several processes and clients: whatever they do at once, a key that was kept opens afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.client.real_server import ENVIRONMENT
from unseen.entropy import random_bytes
from unseen.errors import AlreadyExists, IntegrityError, InvalidConfiguration, InvalidInput, StoreFailed, WrongKey
from unseen_client.home import write_private
from unseen_client.keys.keystore import CollectionKey, KeyStore
from unseen_client.keys.passphrase import Stretching
from unseen_client.keys.vault import NOTHING, Vault
from unseen_client.keys.vault_head import FILE_NAME

UIDS = [bytes([at]) * 16 for at in range(3)]
FIRST, SECOND = "first passphrase", "second passphrase"
RACES = Path(__file__).with_name("racing_vault.py")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A passphrase costs little to try: what it costs is no matter here."""
    monkeypatch.setattr(Stretching, "make", staticmethod(lambda: Stretching(random_bytes(16), 1 << 10)))


def owner_key(uid):
    return CollectionKey(uid, "secret", bytes(32), True, bytes(16), owner_key=uid * 2)


def sealed_key(uid):
    return CollectionKey(uid, "photos", bytes(32), True, bytes(16))


def keys_of(home, passphrase):
    """What a process that begins anew reads."""
    return sorted(KeyStore(home, Vault(home, passphrase)).all(), key=lambda key: key.collection_uid)


def at_once(home, folder, *passphrases):
    """Each in a process of its own, at the same moment: what became of them."""
    folder.mkdir()
    started = [
        subprocess.Popen(
            [sys.executable, str(RACES), str(home), str(folder), str(at), passphrase, UIDS[at].hex()],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for at, passphrase in enumerate(passphrases)
    ]
    return [process.communicate(timeout=120)[0].strip() for process in started]


def test_two_processes_that_keep_a_first_owner_key_at_once_lose_neither(home, tmp_path):
    assert at_once(home, tmp_path / "meeting", FIRST, FIRST) == ["kept", "kept"]
    assert keys_of(home, FIRST) == [owner_key(UIDS[0]), owner_key(UIDS[1])]


def test_of_two_passphrases_at_once_one_holds_and_the_other_is_told(home, tmp_path):
    told = at_once(home, tmp_path / "meeting", FIRST, SECOND)
    assert sorted(told) == ["WRONG_KEY", "kept"]
    kept = told.index("kept")
    assert keys_of(home, (FIRST, SECOND)[kept]) == [owner_key(UIDS[kept])]


def overtaken_at_its_first_stretching(home, monkeypatch, passphrase):
    """Another client protects the keys after a first one has found them in the clear."""
    make, rest = Stretching.make, [lambda: Vault(home).protect_with_passphrase(passphrase)]

    def made():
        if rest:
            rest.pop()()
        return make()

    monkeypatch.setattr(Stretching, "make", staticmethod(made))


def test_whoever_is_overtaken_opens_what_the_other_wrote_without_being_asked_again(home, monkeypatch):
    KeyStore(home).put(sealed_key(UIDS[0]))
    asked = []
    overtaken_at_its_first_stretching(home, monkeypatch, FIRST)
    KeyStore(home, Vault(home, lambda: asked.append(1) or FIRST)).put(owner_key(UIDS[1]))
    assert asked == [1, 1]
    assert keys_of(home, FIRST) == [sealed_key(UIDS[0]), owner_key(UIDS[1])]


def test_whoever_is_overtaken_with_another_passphrase_is_told_and_changes_nothing(home, monkeypatch):
    KeyStore(home).put(sealed_key(UIDS[0]))
    overtaken_at_its_first_stretching(home, monkeypatch, FIRST)
    with pytest.raises(AlreadyExists, match="nothing was changed, try again"):
        Vault(home, SECOND).protect_with_passphrase(SECOND)
    with pytest.raises(WrongKey, match="nothing was changed, try again"):
        KeyStore(home, Vault(home, SECOND)).put(owner_key(UIDS[1]))
    assert keys_of(home, FIRST) == [sealed_key(UIDS[0])]


def test_a_key_that_is_being_written_in_the_clear_is_sealed_with_the_others(home, monkeypatch):
    KeyStore(home).put(sealed_key(UIDS[0]))
    writing, protected, replace = threading.Event(), threading.Event(), Path.replace

    def slowly(self, target):
        if threading.current_thread() is writer:
            writing.set()
            protected.wait(1.0)  # it is on the disk in the clear, and has not got its name
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", slowly)
    writer = threading.Thread(target=KeyStore(home).put, args=(sealed_key(UIDS[1]),))
    writer.start()
    assert writing.wait(60.0)
    Vault(home).protect_with_passphrase(FIRST)
    protected.set()
    writer.join()
    assert keys_of(home, FIRST) == [sealed_key(UIDS[0]), sealed_key(UIDS[1])]
    assert not [path for path in home.rglob("*") if path.is_file() and b"record_key" in path.read_bytes()]


@pytest.mark.parametrize("name", [f"keys/{UIDS[0].hex()}.json", "key-store.json"])
@pytest.mark.parametrize("overwritten", [False, True])
def test_a_file_that_is_sealed_while_it_is_read_is_read_again(home, monkeypatch, name, overwritten):
    """What was read is the one in the clear, or already overwritten; neither is damage, nor somebody else's file."""
    KeyStore(home).put(sealed_key(UIDS[0]))
    if name == "key-store.json":
        Vault(home).protect_with_passphrase(FIRST)
    read_bytes, others = Path.read_bytes, [lambda: Vault(home, FIRST).protect_with_passphrase(FIRST)]

    def read_before(self):
        data = read_bytes(self)
        if self == home / name and others:
            others.pop()()
            return bytes(len(data)) if overwritten else data
        return data

    monkeypatch.setattr(Path, "read_bytes", read_before)
    assert keys_of(home, FIRST) == [sealed_key(UIDS[0])]
    assert not others


def test_a_key_is_not_destroyed_while_others_seal(home):
    KeyStore(home).put(sealed_key(UIDS[0]))
    path = home / "keys" / f"{UIDS[0].hex()}.json"
    thread = threading.Thread(target=KeyStore(home).forget, args=(UIDS[0],))
    with Vault(home).alone():
        thread.start()
        thread.join(0.3)
        assert path.exists(), "sealing it would have brought it back"
    thread.join()
    assert not path.exists()


def test_of_two_keys_for_one_collection_the_first_is_kept_and_the_other_refused(home):
    first, other = sealed_key(UIDS[0]), CollectionKey(UIDS[0], "photos", bytes(31) + b"1", True, bytes(16))
    store, refused = KeyStore(home), []

    def put_other():
        with pytest.raises(IntegrityError, match="already holds another record key"):
            KeyStore(home).put(other)
        refused.append(True)

    store.require_private()
    waiting = threading.Thread(target=put_other)
    with store.vault.alone():
        waiting.start()
        waiting.join(0.3)  # so that it would have looked before there is one
        store.put(first)
    waiting.join()
    assert refused
    assert keys_of(home, None) == [first]


def test_no_new_head_is_drawn_where_files_are_sealed_under_one_that_is_gone(home):
    KeyStore(home, Vault(home, FIRST)).put(owner_key(UIDS[0]))
    head = (home / FILE_NAME).read_bytes()
    (home / FILE_NAME).unlink()
    with pytest.raises(IntegrityError, match="key files are sealed under it; put a copy back"):
        KeyStore(home, Vault(home, FIRST)).put(owner_key(UIDS[1]))
    write_private(home / FILE_NAME, head)
    assert keys_of(home, FIRST) == [owner_key(UIDS[0])]


def test_a_first_protection_that_the_disk_refuses_leaves_no_key_that_nobody_has(home, monkeypatch):
    KeyStore(home).put(sealed_key(UIDS[0]))
    vault = Vault(home, FIRST)

    def full_disk(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(StoreFailed, match="No space"):
            KeyStore(home, vault).put(owner_key(UIDS[1]))
    Vault(home).protect_with_passphrase(FIRST)
    KeyStore(home, vault).put(owner_key(UIDS[2]))
    assert keys_of(home, FIRST) == [sealed_key(UIDS[0]), owner_key(UIDS[2])]


def test_a_function_is_asked_twice_before_keys_are_put_under_what_it_gives(home):
    answers = iter([FIRST, SECOND])
    with pytest.raises(InvalidInput, match="answers differ"):
        KeyStore(home, Vault(home, lambda: next(answers))).put(owner_key(UIDS[0]))
    assert Vault(home).protection == NOTHING
    asked = []
    store = KeyStore(home, Vault(home, lambda: asked.append(1) or FIRST))
    for uid in UIDS:
        store.put(owner_key(uid))
    assert asked == [1, 1]
    assert len(keys_of(home, lambda: asked.append(1) or FIRST)) == 3
    assert asked == [1, 1, 1], "to open them once is enough"


def test_an_owner_key_that_lies_in_the_clear_is_not_used_until_the_keys_are_protected(home):
    """As an earlier build left it, or as somebody put it there."""
    KeyStore(home).put(sealed_key(UIDS[0]))
    Vault(home).write(home / "keys" / f"{UIDS[1].hex()}.json", json.dumps(owner_key(UIDS[1]).to_json()).encode())
    for use in (KeyStore(home).get, KeyStore(home).readable):
        with pytest.raises(InvalidConfiguration, match="`unseen keys protect passphrase` or"):
            use(UIDS[1])
        assert use(UIDS[0]) == sealed_key(UIDS[0])
    Vault(home).protect_with_passphrase(FIRST)
    assert keys_of(home, FIRST) == [sealed_key(UIDS[0]), owner_key(UIDS[1])]
