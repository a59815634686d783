"""The key ring: one file, opened by its provider for its store only, altered by nobody else, replaced whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.key_rings import MASTER_KEY
from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    KeyServiceFailed,
    SealBroken,
    StoreFailed,
    WrongKey,
)
from unseen.keys import durable_file, ring_content
from unseen.keys.provider import HeldKey, KeyProvider
from unseen.keys.ring import KeyRing, KeyRings
from unseen.keys.ring_content import Destroyed, Erasure
from unseen.keys.walk import KeyWalk

STORE, OTHER_STORE, PHOTOS, SCANS = (bytes([letter]) * 16 for letter in b"soab")
ERASURE = Erasure(bytes(range(16)), bytes(range(32)), PHOTOS, 3)


class Counting(KeyProvider):
    """A key service that counts what it is asked."""

    def __init__(self, master_key: bytes = MASTER_KEY) -> None:
        self.asked: list[str] = []
        self.held = HeldKey("counting", master_key)

    @property
    def kind(self) -> str:
        return self.held.kind

    def wrap(self, key: bytes, context: bytes) -> bytes:
        self.asked.append("wrap")
        return self.held.wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        self.asked.append("unwrap")
        return self.held.unwrap(wrapped, context)


@pytest.fixture
def rings(tmp_path: Path) -> KeyRings:
    return KeyRings(tmp_path / "rings", HeldKey("file", MASTER_KEY))


@pytest.fixture
def ring(rings: KeyRings) -> KeyRing:
    return rings.make(STORE)


def test_everything_comes_back_when_a_ring_is_opened_again(rings: KeyRings, ring: KeyRing) -> None:
    trees = [ring.add_tree(PHOTOS), ring.add_tree(SCANS), ring.add_tree(SCANS)]
    ring.cut(PHOTOS, [5, 77, 1 << 50], ERASURE)
    ring.destroy(trees[1:2], Destroyed.KEYS_RENEWED)
    again = rings.open(STORE)
    assert again.content == ring.content
    assert again.content.last_erasure == ERASURE
    assert (again.trees_of(PHOTOS), again.trees_of(SCANS)) == (trees[:1], trees[2:])
    assert again.tree(trees[1]) is None
    assert [again.why_destroyed(tree_id) for tree_id in trees] == [None, Destroyed.KEYS_RENEWED, None]


def test_provider_is_asked_once_to_make_and_once_to_open_and_for_nothing_else(tmp_path: Path) -> None:
    provider = Counting()
    ring = KeyRings(tmp_path, provider).make(STORE)
    tree_id = ring.add_tree(PHOTOS)
    for serial in range(20):
        ring.cut(PHOTOS, [serial], None)
    ring.destroy([tree_id], Destroyed.COLLECTION_DELETED)
    assert provider.asked == ["wrap"]
    KeyRings(tmp_path, provider).open(STORE)
    assert provider.asked == ["wrap", "unwrap"]


def test_every_change_gives_another_state(ring: KeyRing) -> None:
    states = {ring.content.state}
    tree_id = ring.add_tree(PHOTOS)
    for change in (
        lambda: ring.cut(PHOTOS, [1], None),
        lambda: ring.cut(PHOTOS, [1], None),
        lambda: ring.destroy([tree_id], Destroyed.COLLECTION_DELETED),
    ):
        states.add(ring.content.state)
        change()
    assert len(states | {ring.content.state}) == 5


def test_cut_reaches_every_tree_of_its_collection_and_no_other(ring: KeyRing) -> None:
    trees = [ring.add_tree(PHOTOS), ring.add_tree(PHOTOS), ring.add_tree(SCANS)]
    ring.cut(PHOTOS, [9], None)
    held = [tree is not None and tree.holds(9) for tree in map(ring.tree, trees)]
    assert held == [False, False, True]


def test_wrong_master_key_is_refused(tmp_path: Path, ring: KeyRing) -> None:
    with pytest.raises(WrongKey):
        KeyRings(tmp_path / "rings", HeldKey("file", bytes(32))).open(STORE)


def test_provider_of_another_kind_is_named(tmp_path: Path, ring: KeyRing) -> None:
    with pytest.raises(InvalidConfiguration, match="kind 'file', --master-key names one of kind 'vault'"):
        KeyRings(tmp_path / "rings", HeldKey("vault", MASTER_KEY)).open(STORE)


def test_missing_ring_is_refused_in_a_sentence(rings: KeyRings) -> None:
    with pytest.raises(InvalidConfiguration, match="without it nothing opens the data"):
        rings.open(STORE)
    assert not rings.has(STORE)


def test_ring_of_another_store_is_refused_under_any_name(rings: KeyRings, ring: KeyRing) -> None:
    ring.path.rename(rings.path_of(OTHER_STORE))
    with pytest.raises(InvalidConfiguration, match="another store"):
        rings.open(OTHER_STORE)
    data = rings.path_of(OTHER_STORE).read_bytes()
    rings.path_of(OTHER_STORE).write_bytes(data.replace(STORE, OTHER_STORE, 1))
    with pytest.raises(SealBroken):
        rings.open(OTHER_STORE)


def test_every_altered_byte_and_every_cut_of_a_ring_is_noticed(rings: KeyRings, ring: KeyRing) -> None:
    ring.add_tree(PHOTOS)
    ring.cut(PHOTOS, [3], ERASURE)
    data = ring.path.read_bytes()
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 0x10
        ring.path.write_bytes(altered)
        with pytest.raises((IntegrityError, InvalidConfiguration)):
            rings.open(STORE)
    for length in range(len(data)):
        ring.path.write_bytes(data[:length])
        with pytest.raises(SealBroken):
            rings.open(STORE)
    ring.path.write_bytes(data + b"\x00")
    with pytest.raises(SealBroken):
        rings.open(STORE)


def test_head_commits_to_the_root_key(rings: KeyRings, ring: KeyRing) -> None:
    """AES-GCM alone can be made to open under two keys; the ring names the one that it means."""
    data = ring.path.read_bytes()
    _, _, commitment_at = ring_content.read_head(data)
    with pytest.raises(WrongKey, match="another root key"):
        ring_content.read_body(data, commitment_at, bytes(32))


def test_rewrapped_ring_opens_with_the_new_key_only_and_holds_the_same(tmp_path: Path, rings: KeyRings) -> None:
    ring = rings.make(STORE)
    ring.add_tree(PHOTOS)
    before, content = ring.path.read_bytes(), ring.content
    ring.rewrap(HeldKey("passphrase", bytes(32)))
    again = KeyRings(rings.folder, HeldKey("passphrase", bytes(32))).open(STORE)
    assert again.content == content
    with pytest.raises(InvalidConfiguration):
        rings.open(STORE)
    ring.cut(PHOTOS, [4], None)
    assert KeyRings(rings.folder, HeldKey("passphrase", bytes(32))).open(STORE).content == ring.content
    ring.path.write_bytes(before)
    assert rings.open(STORE).content == content, "a copy from before opens with the old key: docs/keys.md says so"


def test_rewrap_is_refused_when_the_new_key_does_not_give_back_what_it_took(ring: KeyRing) -> None:
    class Forgetful(HeldKey):
        def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
            return bytes(32)

    before = ring.path.read_bytes()
    with pytest.raises(KeyServiceFailed, match="nothing was changed"):
        ring.rewrap(Forgetful("file", bytes(32)))
    assert ring.path.read_bytes() == before


def test_disk_that_refuses_is_told_and_nothing_is_believed(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    content = ring.content

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_file, "replace", refuse)
    with pytest.raises(StoreFailed, match="No space left"):
        ring.add_tree(PHOTOS)
    assert ring.content == content


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be made"):
        KeyRings(tmp_path / "no" / "folder", HeldKey("file", MASTER_KEY)).make(STORE)


def test_no_key_is_in_the_ring_in_the_clear(ring: KeyRing) -> None:
    tree_id = ring.add_tree(PHOTOS)
    tree = ring.tree(tree_id)
    assert tree is not None
    secrets = [ring.content.store_key, ring._root_key, tree.keys, KeyWalk(tree).keys([0])[0] or b"", MASTER_KEY]
    data = ring.path.read_bytes()
    assert not any(secret in data for secret in secrets)


def test_format_has_not_changed(rings: KeyRings, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = iter(range(1000))

    def fixed_bytes(count: int) -> bytes:
        return hashlib.shake_256(str(next(counter)).encode()).digest(count)

    for module in ("unseen.entropy", "unseen.envelope", "unseen.keys.ring"):
        monkeypatch.setattr(f"{module}.random_bytes", fixed_bytes)
    ring = rings.make(STORE)
    gone = ring.add_tree(SCANS)
    ring.add_tree(PHOTOS)
    ring.cut(PHOTOS, [1, 2, 3, 1 << 40], ERASURE)
    ring.destroy([gone], Destroyed.COLLECTION_DELETED)
    assert hashlib.sha256(ring.path.read_bytes()).hexdigest() == TRIPWIRE


TRIPWIRE = "f02f71866200007aab30b9431766ab5f8c2250c377972d86017b73598e85ad09"
