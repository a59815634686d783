"""Facts: appended, read in order, forgotten in place. Runs inside the store's transactions.

A fact's body is sealed and bound to its kind, key and place, so facts cannot be swapped, renamed or moved. Their cells
never move (see ``schema.py``): forgetting one overwrites its bytes with zeros where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator

from unseen.envelope import SealingKey, context
from unseen.store.database import Transaction
from unseen.store.interface import Fact

FACT_FORMAT = 1


def append(tx: Transaction, seal: SealingKey, kind: str, key: bytes, body: bytes) -> Fact:
    """Write a fact at the end."""
    last = tx.fetch("SELECT coalesce(max(sequence), 0) FROM facts")[0][0]
    fact = Fact(last + 1, kind, key, body)
    tx.run("INSERT INTO facts VALUES (?, ?, ?, 0, ?)", (fact.sequence, kind, key, seal.seal(body, place_of(fact))))
    return fact


def read(tx: Transaction, seal: SealingKey, kind: str, key: bytes | None, after: int) -> Iterator[Fact]:
    """Facts of a kind (and key) after a sequence number; SealBroken when one does not open."""
    of_key, values = ("", ()) if key is None else (" AND key = ?", (key,))
    found = tx.fetch(
        f"SELECT sequence, key, sealed FROM facts WHERE kind = ?{of_key} AND sequence > ? AND forgotten = 0"  # noqa: S608
        " ORDER BY sequence",
        (kind, *values, after),
    )
    for sequence, its_key, sealed in found:
        fact = Fact(sequence, kind, its_key, b"")
        yield Fact(sequence, kind, its_key, seal.open(sealed, place_of(fact)))


def at(tx: Transaction, seal: SealingKey, sequence: int) -> Fact | None:
    """The fact at a place, None when it was forgotten."""
    found = tx.fetch("SELECT kind, key, sealed FROM facts WHERE sequence = ? AND forgotten = 0", (sequence,))
    for kind, key, sealed in found:
        fact = Fact(sequence, kind, key, b"")
        return Fact(sequence, kind, key, seal.open(sealed, place_of(fact)))
    return None


def forget(tx: Transaction, kind: str, key: bytes) -> int:
    """Zero the bodies of facts where they lie; how many there were."""
    found = tx.fetch("SELECT sequence FROM facts WHERE kind = ? AND key = ? AND forgotten = 0", (kind, key))
    sequences = [sequence for (sequence,) in found]
    tx.zero("facts", "sequence", sequences)
    tx.run_each("UPDATE facts SET forgotten = 1 WHERE sequence = ?", [(sequence,) for sequence in sequences])
    return len(sequences)


def place_of(fact: Fact) -> bytes:
    """The context that a fact's body is sealed for."""
    return context("fact", FACT_FORMAT, fact.kind, fact.key, fact.sequence)
