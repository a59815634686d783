"""Facts: appended, read in order, forgotten in place. Runs inside the store's transactions.

A fact's body is sealed and bound to its kind, key and place, so facts cannot be swapped, renamed or moved. Their cells
never move (see ``schema.py``): forgetting one overwrites its bytes with zeros where they lie.

    sealed under the store's key       as ``unseen.envelope`` seals
    sealed under a key of its own      3 | tree of the key ring (16) | serial (8, little-endian) | as above

Forgetting a fact that has a key of its own destroys the key first, so that no older copy of the data brings it back.
Its tree and serial stay in front of the zeros: in a key ring that was put back from before, that key is cut again.
Large ones give their room to later ones of their kind: see ``write_over``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from unseen.envelope import SEAL_OVERHEAD_BYTES, context
from unseen.errors import SealBroken
from unseen.store.database import Transaction
from unseen.store.interface import Fact
from unseen.store.sealing import FactKeys, StoreSeals

FACT_FORMAT = 1
OWN_KEY_FORMAT = 2
_OWN_KEY = b"\x03"
_HEAD = struct.Struct("<c16sQ")

OwnKey = tuple[bytes, int]
"""Tree and serial of a fact's own key."""


def append(tx: Transaction, seals: StoreSeals, kind: str, key: bytes, body: bytes, own: OwnKey | None = None) -> Fact:
    """Write a fact at the end, under a key of its own or that of the store."""
    fact = Fact(_next(tx), kind, key, body)
    tx.run("INSERT INTO facts VALUES (?, ?, ?, 0, ?)", (fact.sequence, kind, key, _sealed(seals, fact, own)))
    return fact


def _next(tx: Transaction) -> int:
    return int(tx.fetch("SELECT coalesce(max(sequence), 0) + 1 FROM facts")[0][0])


def write_over(tx: Transaction, seals: StoreSeals, kind: str, key: bytes, body: bytes, own: OwnKey) -> None:
    """Write a fact where a forgotten one of its kind and length lay, else at the end; the order is lost.

    What was forgotten there keeps its tree and serial, at the end, under a kind of its own (``past``).
    """
    size = _HEAD.size + len(body) + SEAL_OVERHEAD_BYTES
    found = tx.fetch(
        "SELECT sequence, key, substr(sealed, 1, 25) FROM facts WHERE kind = ? AND forgotten = 1 AND length(sealed) = ?"
        " ORDER BY sequence LIMIT 1",
        (kind, size),
    )
    if not found:
        append(tx, seals, kind, key, body, own)
        return
    sequence, old_key, head = found[0]
    tx.run("INSERT INTO facts VALUES (?, ?, ?, 1, ?)", (_next(tx), past(kind), old_key, _emptied(head, _HEAD.size)))
    # Zeros until the last step: nothing is left behind where this moves the cell.
    tx.run("UPDATE facts SET key = ?, forgotten = 0 WHERE sequence = ?", (key, sequence))
    tx.overwrite("facts", "sequence", [(sequence, _sealed(seals, Fact(sequence, kind, key, body), own))])


def past(kind: str) -> str:
    """The kind of what was forgotten and whose room was used again."""
    return f"{kind}, past"


def reseal(tx: Transaction, seals: StoreSeals, sequence: int, fresh_tree: bytes) -> None:
    """Seal a fact that has a key of its own under that of another tree, where it lies; its serial stays."""
    fact = at(tx, seals, sequence)
    (head,) = (row[0] for row in tx.fetch("SELECT substr(sealed, 1, 25) FROM facts WHERE sequence = ?", (sequence,)))
    own = own_key(head)
    if fact is not None and own is not None:
        tx.overwrite("facts", "sequence", [(sequence, _sealed(seals, fact, (fresh_tree, own[1])))])


def _sealed(seals: StoreSeals, fact: Fact, own: OwnKey | None) -> bytes:
    if own is None:
        return seals.facts.seal(fact.body, _place_of(fact, FACT_FORMAT))
    key = seals.fact_keys().of(*own)
    if key is None:
        raise SealBroken("a fresh serial has no key; restart the server: it finishes erasures")
    return _HEAD.pack(_OWN_KEY, *own) + key.seal(fact.body, _place_of(fact, OWN_KEY_FORMAT))


def read(tx: Transaction, seals: StoreSeals, kind: str, key: bytes | None, after: int) -> Iterator[Fact]:
    """Facts of a kind (and key) after a sequence number; SealBroken when one does not open."""
    of_key, values = ("", ()) if key is None else (" AND key = ?", (key,))
    found = tx.fetch(
        f"SELECT sequence, key, sealed FROM facts WHERE kind = ?{of_key} AND sequence > ? AND forgotten = 0"  # noqa: S608
        " ORDER BY sequence",
        (kind, *values, after),
    )
    keys = seals.fact_keys()
    for sequence, its_key, sealed in found:
        yield _standing(seals, keys, Fact(sequence, kind, its_key, b""), sealed)


def at(tx: Transaction, seals: StoreSeals, sequence: int) -> Fact | None:
    """The fact at a place, None when it was forgotten."""
    found = tx.fetch("SELECT kind, key, sealed FROM facts WHERE sequence = ? AND forgotten = 0", (sequence,))
    for kind, key, sealed in found:
        return _standing(seals, seals.fact_keys(), Fact(sequence, kind, key, b""), sealed)
    return None


def _standing(seals: StoreSeals, keys: FactKeys, fact: Fact, sealed: bytes) -> Fact:
    if (found := opened(seals, keys, fact, sealed)) is not None:
        return found
    raise SealBroken("a fact stands in the data whose key was destroyed; restart the server: it finishes erasures")


def opened(seals: StoreSeals, keys: FactKeys, fact: Fact, sealed: bytes) -> Fact | None:
    """A fact with its body, None when its key was destroyed; SealBroken when it does not open."""
    own = own_key(sealed)
    if own is None:
        body = seals.facts.open(sealed, _place_of(fact, FACT_FORMAT))
    elif (key := keys.of(*own)) is not None:
        body = key.open(sealed[_HEAD.size :], _place_of(fact, OWN_KEY_FORMAT))
    else:
        return None
    return Fact(fact.sequence, fact.kind, fact.key, body)


def forget(tx: Transaction, seals: StoreSeals, places: Sequence[tuple[str, bytes]]) -> tuple[int, bool]:
    """Destroy the keys of facts of these kinds and keys, then zero their bodies where they lie.

    Gives how many there were, and whether the key ring changed.
    """
    found = tx.fetch_each("SELECT sequence, sealed FROM facts WHERE kind = ? AND key = ? AND forgotten = 0", places)
    owns = [own for _, sealed in found if (own := own_key(sealed)) is not None]
    _cut(seals, owns)
    _zero(tx, [sequence for sequence, _ in found])
    return len(found), bool(owns)


def _cut(seals: StoreSeals, owns: Sequence[OwnKey]) -> None:
    """Destroy keys: those of blocks are in the trees of their collections, others in the tree of facts."""
    apart: dict[bytes, list[int]] = {}
    for tree_id, serial in owns:
        if (uid := seals.ring.collection_of(tree_id)) is not None:
            apart.setdefault(uid, []).append(serial)
    for uid, serials in apart.items():
        seals.erase(uid, serials, None)


def require_trees(tx: Transaction, seals: StoreSeals) -> None:
    """InvalidConfiguration when the key ring lacks the tree of a fact: it is older than the data."""
    keys = seals.fact_keys()
    for _, own in _with_own_keys(tx):
        keys.of(*own)


def finish_forgetting(tx: Transaction, seals: StoreSeals) -> int:
    """Forget what has no key any more: a stop came in between, or the data was put back from before; how many."""
    keys = seals.fact_keys()
    doomed = [sequence for sequence, own in _with_own_keys(tx) if keys.of(*own) is None]
    _zero(tx, doomed)
    return len(doomed)


def repeat_cuts(tx: Transaction, seals: StoreSeals) -> int:
    """Destroy the keys of forgotten facts that an older ring still holds; how many."""
    held = [own for _, own in _with_own_keys(tx, forgotten=1) if is_held(seals, own)]
    _cut(seals, held)
    return len(held)


def is_held(seals: StoreSeals, own: OwnKey) -> bool:
    """Whether the ring holds a fact's own key."""
    tree = seals.ring.tree(own[0])
    return tree is not None and tree.holds(own[1])


def _with_own_keys(tx: Transaction, forgotten: int = 0) -> list[tuple[int, OwnKey]]:
    found = tx.fetch(
        "SELECT sequence, substr(sealed, 1, 25) FROM facts WHERE forgotten = ? ORDER BY sequence", (forgotten,)
    )
    return [(sequence, own) for sequence, head in found if (own := own_key(head)) is not None]


def _zero(tx: Transaction, sequences: list[int]) -> None:
    found = tx.fetch_each(
        "SELECT sequence, substr(sealed, 1, 25), length(sealed) FROM facts WHERE sequence = ?",
        [(sequence,) for sequence in sequences],
    )
    tx.overwrite("facts", "sequence", [(sequence, _emptied(head, size)) for sequence, head, size in found])
    tx.run_each("UPDATE facts SET forgotten = 1 WHERE sequence = ?", [(sequence,) for sequence in sequences])


def _emptied(head: bytes, size_bytes: int) -> bytes:
    kept = head if own_key(head) is not None else b""
    return kept + bytes(size_bytes - len(kept))


def is_emptied(sealed: bytes) -> bool:
    """Whether nothing is left of a fact's body."""
    return not any(sealed if own_key(sealed) is None else sealed[_HEAD.size :])


def own_key(sealed: bytes) -> OwnKey | None:
    """Tree and serial of a fact that has a key of its own, None for one under the store's."""
    if sealed[:1] != _OWN_KEY or len(sealed) < _HEAD.size:
        return None
    _, tree_id, serial = _HEAD.unpack_from(sealed)
    return tree_id, serial


def _place_of(fact: Fact, version: int) -> bytes:
    """The context that a fact's body is sealed for."""
    return context("fact", version, fact.kind, fact.key, fact.sequence)
