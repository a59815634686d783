"""The key store: for its owner alone, whole files or none, and never another key in place of one that is there."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace

import pytest

from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, KeyMissing, Mismatch, StoreFailed
from unseen_client.keys.keystore import CollectionKey, KeyStore

UID = bytes(range(16))
KEY_FIELDS = CollectionKey(UID, "photos", bytes(32)).to_json()


@pytest.fixture
def store(home):
    return KeyStore(home)


@pytest.fixture
def key():
    return CollectionKey.make(UID, "photos", keep_vectors=True)


def path_of(home):
    return home / "keys" / f"{UID.hex()}.json"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_comes_back(store, key, home):
    store.put(key)
    assert KeyStore(home).get(UID) == key
    assert KeyStore(home).all() == [key]


def test_folders_and_files_are_for_their_owner_alone_whatever_the_umask(store, key, home):
    before = os.umask(0)
    try:
        store.put(key)
    finally:
        os.umask(before)
    assert (mode(home), mode(home / "keys"), mode(path_of(home))) == (0o700, 0o700, 0o600)


@pytest.mark.parametrize("loose", [0o644, 0o640, 0o602, 0o611])
def test_a_key_file_that_others_can_reach_is_refused(store, key, home, loose):
    store.put(key)
    path_of(home).chmod(loose)
    with pytest.raises(InvalidConfiguration, match="chmod 600"):
        store.get(UID)


@pytest.mark.parametrize("folder", [".", "keys"])
def test_a_folder_that_others_can_reach_is_refused(store, key, home, folder):
    store.put(key)
    (home / folder).chmod(0o755)
    for use in (lambda: store.get(UID), lambda: store.put(key), store.require_private):
        with pytest.raises(InvalidConfiguration, match="chmod 700"):
            use()


def test_a_missing_key_says_to_import_it(store):
    with pytest.raises(KeyMissing, match="unseen keys import"):
        store.get(UID, "photos")


def test_another_key_never_takes_the_place_of_one_that_is_there(store, key):
    store.put(key)
    with pytest.raises(IntegrityError, match="another record key"):
        store.put(CollectionKey.make(UID, "photos", keep_vectors=True))
    store.put(key)
    assert store.get(UID) == key


def test_a_key_stays_with_its_store_and_name(store, key):
    store.put(key)
    in_store = replace(key, store_uid=b"s" * 16)
    store.put(in_store)
    store.put(key)  # from an export that does not know the store
    assert store.get(UID) == in_store
    for other in (replace(in_store, store_uid=b"t" * 16), replace(in_store, name="others")):
        with pytest.raises(IntegrityError, match="another record key"):
            store.put(other)
    assert store.get(UID) == in_store


def test_a_key_is_right_for_its_name_and_store_only(key):
    in_store = replace(key, store_uid=b"s" * 16)
    key.require_right("photos", b"any store here..")
    in_store.require_right("photos", b"s" * 16)
    for name, store_uid in (("others", b"s" * 16), ("photos", b"t" * 16)):
        with pytest.raises(Mismatch, match="nothing was sent"):
            in_store.require_right(name, store_uid)


@pytest.mark.parametrize(
    "stray", ["notes.json", "00.json", f"{UID.hex()} (copy).json", f"._{UID.hex()}.json", ".DS_Store"]
)
def test_a_stray_file_is_no_key_and_no_trouble(store, key, home, stray):
    store.put(key)
    (home / "keys" / stray).write_text("{}")
    assert store.all() == [key]


def test_a_failed_write_leaves_the_old_key_and_no_other_file(store, key, home, monkeypatch):
    store.put(key)

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreFailed, match="No space"):
        store.put(key)
    monkeypatch.undo()
    assert store.get(UID) == key
    assert [path.name for path in (home / "keys").iterdir()] == [path_of(home).name]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        json.dumps({"format": "unseen-record-key-9"}).encode(),
        json.dumps({**KEY_FIELDS, "format": "unseen-record-key-2"}).encode(),
        json.dumps({**KEY_FIELDS, "format": "unseen-record-key-2", "store_uid": "00"}).encode(),
        json.dumps({**KEY_FIELDS, "format": "unseen-record-key-2", "store_uid": 7}).encode(),
        json.dumps(
            {"format": "unseen-record-key-1", "collection_uid": "00", "name": "x", "record_key": "AA=="}
        ).encode(),
    ],
)
def test_a_damaged_key_is_an_integrity_error(store, key, home, damage):
    store.put(key)
    path_of(home).write_bytes(damage)
    with pytest.raises(IntegrityError, match="import"):
        store.get(UID)


def test_a_home_that_cannot_be_made_says_so(tmp_path, key):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreFailed, match="UNSEEN_HOME"):
        KeyStore(tmp_path / "file" / "home").put(key)


def test_keys_of_a_wrong_length_cannot_be_made():
    with pytest.raises(InvalidInput):
        CollectionKey(UID, "photos", b"short")


def test_showing_a_key_does_not_show_it(key):
    assert repr(key.record_key) not in repr(key)
    assert key.record_key.hex() not in repr(key)


def test_two_keys_are_never_the_same():
    assert len({CollectionKey.make(UID, "x", keep_vectors=True).record_key for _ in range(20)}) == 20


@pytest.mark.parametrize(("metric", "longest"), [("dot", 1.0), ("l2", 12.5), ("l1", 1e-9)])
def test_a_metric_comes_back_and_its_key_is_of_a_format_that_earlier_releases_refuse(store, home, metric, longest):
    key = CollectionKey.make(UID, "photos", keep_vectors=True, store_uid=UID, metric=metric, longest=longest)
    store.put(key)
    assert store.get(UID) == key
    assert json.loads(path_of(home).read_text())["format"] == "unseen-record-key-3"


def test_a_key_with_another_metric_never_takes_the_place_of_one_that_is_there(store, key):
    held = replace(key, store_uid=UID, metric="l2", longest=2.0)
    store.put(held)
    for other in (replace(held, metric="l1"), replace(held, longest=3.0), replace(key, store_uid=UID)):
        with pytest.raises(IntegrityError, match="another record key"):
            store.put(other)
    assert store.get(UID) == held


@pytest.mark.parametrize(
    "damage",
    [{"metric": "l3"}, {"metric": "cosine"}, {"longest": 0}, {"longest": "2"}, {"longest": True}, {"longest": 10**400}],
)
def test_a_key_with_a_damaged_metric_is_an_integrity_error(damage):
    fields = CollectionKey(UID, "photos", bytes(32), True, UID, "l2", 2.0).to_json()
    assert CollectionKey.from_json(fields).longest == 2.0
    with pytest.raises(IntegrityError, match="damaged"):
        CollectionKey.from_json(fields | damage)
    for missing in ("metric", "longest", "store_uid"):
        with pytest.raises(IntegrityError, match="damaged"):
            CollectionKey.from_json({name: value for name, value in fields.items() if name != missing})


def test_a_metric_without_a_store_is_no_key():
    with pytest.raises(InvalidInput, match="names the store"):
        CollectionKey(UID, "photos", bytes(32), metric="l2")
