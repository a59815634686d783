"""Data and key ring brought in step when a store is opened: what one of them began, the other finishes.

A cut of the ring comes before the transaction that removes the row, so after a crash the ring may be ahead; when either
was put back from a copy, one is behind. Nothing here brings a row back, and nothing is cut from the ring but what this
data knows to be erased: the same ring may open a newer copy of the data too.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.entropy import random_uid
from unseen.keys.ring_content import Destroyed
from unseen.keys.tree import KeyTree
from unseen.store import facts, mutations, requests
from unseen.store.collections import remove_collection
from unseen.store.database import Transaction
from unseen.store.requests import Request
from unseen.store.row_keys import note_ring_state, read_ring_state
from unseen.store.sealing import StoreSeals

RECOVERY = "recovery"
"""The kind of request that finishing erasures counts as; nobody can repeat it."""
DIGEST_BYTES = 32


@dataclass(frozen=True)
class Recovery:
    """What was done to bring data and key ring in step."""

    erased_rows: int = 0
    """Rows whose keys were gone: a crash in the middle of an erasure, or data put back from before one."""
    deleted_collections: int = 0
    """The same for whole collections."""
    forgotten_facts: int = 0
    """The same for facts that have a key of their own."""
    repeated_cuts: int = 0
    """Erased rows whose keys were still there: the ring was put back from before their erasure."""
    repeated_fact_cuts: int = 0
    """The same for forgotten facts that had a key of their own."""


def require_trees(tx: Transaction, seals: StoreSeals) -> None:
    """InvalidConfiguration when the ring lacks a tree of rows or facts, unless it was destroyed with its collection."""
    for _, _, tree_id in _collections(tx):
        is_deleted = seals.ring.why_destroyed(tree_id) is Destroyed.COLLECTION_DELETED
        if seals.ring.tree(tree_id) is None and not is_deleted:
            raise seals.missing_tree(tree_id)
    if read_ring_state(tx) != seals.ring.content.state:
        facts.require_trees(tx, seals)


def bring_in_step(tx: Transaction, seals: StoreSeals) -> Recovery:
    """Finish what ring or data are ahead with; nothing when they are in step. After ``require_trees``."""
    if read_ring_state(tx) == seals.ring.content.state:
        return Recovery()
    erased = deleted = cuts = 0
    for number, uid, tree_id in _collections(tx):
        tree = seals.ring.tree(tree_id)
        if tree is None:
            remove_collection(tx, uid)
            deleted += 1
            continue
        erased += _finish_erasures(tx, number, uid, tree, seals)
        cuts += _repeat_cuts(tx, number, uid, seals)
    fact_cuts = facts.repeat_cuts(tx, seals)
    note_ring_state(tx, seals.ring.content.state)
    return Recovery(erased, deleted, facts.finish_forgetting(tx, seals), cuts, fact_cuts)


def _collections(tx: Transaction) -> list[tuple[int, bytes, bytes]]:
    return [(number, uid, tree_id) for number, uid, tree_id in tx.fetch("SELECT number, uid, tree_id FROM collections")]


def _finish_erasures(tx: Transaction, number: int, uid: bytes, tree: KeyTree, seals: StoreSeals) -> int:
    """Remove the rows whose serials were cut, as one change of the collection."""
    found = tx.fetch("SELECT row_id, serial FROM live_rows WHERE collection = ?", (number,))
    doomed = [row_id for row_id, serial in found if not tree.holds(serial)]
    if doomed:
        change = mutations.remove(tx, uid, doomed)
        # Every epoch is the work of a request: this one's is the opening itself.
        finished = requests.Finished(uid, change.epoch, len(doomed))
        requests.remember_finished(tx, Request(random_uid(), RECOVERY, bytes(DIGEST_BYTES)), finished)
        _remember_last_erasure(tx, uid, change.epoch, seals)
    return len(doomed)


def _remember_last_erasure(tx: Transaction, uid: bytes, epoch: int, seals: StoreSeals) -> None:
    """The request that a crash cut short counts as carried out, so that its repetition is answered."""
    last = seals.ring.content.last_erasure
    if last is not None and last.collection_uid == uid:
        request = Request(last.request_id, "erase", last.digest)
        if requests.find_finished(tx, request) is None:
            requests.remember_finished(tx, request, requests.Finished(uid, epoch, last.row_count))


def _repeat_cuts(tx: Transaction, number: int, uid: bytes, seals: StoreSeals) -> int:
    """Cut again what this data knows to be erased and an older ring still holds."""
    found = tx.fetch("SELECT serial FROM erasures WHERE collection = ? AND serial IS NOT NULL", (number,))
    trees = [tree for tree_id in seals.ring.trees_of(uid) if (tree := seals.ring.tree(tree_id))]
    held = [serial for (serial,) in found if any(tree.holds(serial) for tree in trees)]
    if held:
        seals.erase(uid, held, None)
    return len(held)
