"""Where a client puts new rows, and what its key of an owner-encrypted collection is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import IntegrityError, InvalidInput, Mismatch
from unseen.he.owner.layout import SIDE_BLOCKS, Layout, choose
from unseen.params import OWNER_DEFAULT as OWNER
from unseen_client.flows.owner import choose_slots
from unseen_client.keys.keystore import CollectionKey, KeyStore

pytestmark = pytest.mark.usefixtures("locked_keys")

LAYOUT = Layout.of(OWNER, 1024, choose(OWNER, 1024))
SIZE = LAYOUT.whole.rows_per_block
MOST = LAYOUT.side_slots + 4 * SIZE


@given(st.sets(st.integers(0, MOST - 1)), st.integers(1, 3 * SIZE))
def test_new_rows_take_free_slots_each_its_own(taken: set[int], count: int) -> None:
    slots = choose_slots(LAYOUT, np.array(sorted(taken), np.intp), count)
    assert len(set(slots)) == len(slots) == count
    assert not taken & set(slots)


@given(st.sets(st.integers(0, MOST - 1)), st.integers(1, 3 * SIZE))
def test_whole_blocks_come_first_and_at_most_one_block_is_filled_up(taken: set[int], count: int) -> None:
    slots = choose_slots(LAYOUT, np.array(sorted(taken), np.intp), count)
    used = {LAYOUT.block_of(slot) for slot in taken}
    whole = {block for slot in slots if (block := LAYOUT.block_of(slot)) >= SIDE_BLOCKS}
    assert len(whole & used) <= 1
    assert count // SIZE <= len(whole) <= count // SIZE + 1


@pytest.mark.parametrize("count", [SIZE, SIZE - 1])
def test_emptied_blocks_are_used_before_new_ones_are_made(count: int) -> None:
    """Blocks 0 and 2 of the whole ones are full, the one between them was emptied by erasures."""
    emptied = LAYOUT.slots_of(SIDE_BLOCKS + 1)
    taken = [*LAYOUT.slots_of(SIDE_BLOCKS), *LAYOUT.slots_of(SIDE_BLOCKS + 2)]
    assert choose_slots(LAYOUT, np.array(taken, np.intp), count) == list(emptied[:count])


def test_single_rows_fill_side_blocks_and_then_whole_ones() -> None:
    taken: list[int] = []
    for _ in range(LAYOUT.side_slots + 2):
        taken += choose_slots(LAYOUT, np.array(sorted(taken), np.intp), 1)
    assert taken == list(range(LAYOUT.side_slots + 2))


def owner_key() -> CollectionKey:
    return CollectionKey.make(bytes(16), "secret", keep_vectors=True, store_uid=bytes(16), owner_key=b"k" * 32)


def test_owner_key_is_kept_for_its_account_alone_and_comes_back(tmp_path) -> None:
    store, key = KeyStore(tmp_path / "home"), owner_key()
    store.put(key)
    store.put(key)
    assert store.get(bytes(16)) == key
    assert b"k" * 32 not in repr(key).encode()
    with pytest.raises(IntegrityError):
        store.put(replace(key, owner_key=b"o" * 32))
    (path,) = (tmp_path / "home" / "keys").iterdir()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [{"owner_key": "AAAA"}, {"owner_key": None}, {"owner_key": "no base64!"}])
def test_damaged_owner_key_is_refused_and_not_taken_for_a_sealed_collections(damage: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        CollectionKey.from_json(owner_key().to_json() | damage)


@pytest.mark.parametrize("change", [{"keep_vectors": False}, {"store_uid": None}, {"metric": "l2"}, {"owner_key": b""}])
def test_key_that_no_collection_can_have_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        replace(owner_key(), **change)


def test_key_knows_its_protection() -> None:
    owner_key().require_protection(is_owner=True)
    with pytest.raises(Mismatch):
        owner_key().require_protection(is_owner=False)
    with pytest.raises(Mismatch):
        replace(owner_key(), owner_key=None).require_protection(is_owner=True)
