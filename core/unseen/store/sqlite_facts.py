"""Facts: appended, read in order, forgotten in place. Runs inside the store's transactions.

A fact's body is sealed and bound to its kind, key and place, so facts cannot be swapped, renamed or moved. Their cells
never move (see ``schema.py``): forgetting one overwrites its bytes with zeros where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from unseen.envelope import SealingKey, context
from unseen.store.interface import Fact

FACT_FORMAT = 1


def append(db: apsw.Connection, seal: SealingKey, kind: str, key: bytes, body: bytes) -> Fact:
    """Write a fact at the end."""
    last: Any = db.execute("SELECT coalesce(max(sequence), 0) FROM facts").get
    fact = Fact(last + 1, kind, key, body)
    db.execute("INSERT INTO facts VALUES (?, ?, ?, 0, ?)", (fact.sequence, kind, key, seal.seal(body, _place(fact))))
    return fact


def read(db: apsw.Connection, seal: SealingKey, kind: str, key: bytes | None, after: int) -> Iterator[Fact]:
    """Facts of a kind (and key) after a sequence number; SealBroken when one does not open."""
    of_key, values = ("", ()) if key is None else (" AND key = ?", (key,))
    found: list[Any] = db.execute(
        f"SELECT sequence, key, sealed FROM facts WHERE kind = ?{of_key} AND sequence > ? AND NOT forgotten"  # noqa: S608
        " ORDER BY sequence",
        (kind, *values, after),
    ).fetchall()
    for sequence, its_key, sealed in found:
        fact = Fact(sequence, kind, its_key, b"")
        yield Fact(sequence, kind, its_key, seal.open(sealed, _place(fact)))


def at(db: apsw.Connection, seal: SealingKey, sequence: int) -> Fact | None:
    """The fact at a place, None when it was forgotten."""
    found: list[Any] = db.execute(
        "SELECT kind, key, sealed FROM facts WHERE sequence = ? AND NOT forgotten", (sequence,)
    ).fetchall()
    for kind, key, sealed in found:
        fact = Fact(sequence, kind, key, b"")
        return Fact(sequence, kind, key, seal.open(sealed, _place(fact)))
    return None


def forget(db: apsw.Connection, kind: str, key: bytes) -> int:
    """Zero the bodies of facts where they lie; how many there were."""
    found = db.execute("SELECT sequence FROM facts WHERE kind = ? AND key = ? AND NOT forgotten", (kind, key))
    sequences = [int(str(sequence)) for (sequence,) in found.fetchall()]
    for sequence in sequences:
        with db.blob_open("main", "facts", "sealed", sequence, True) as cell:
            cell.write(bytes(cell.length()))
    db.executemany("UPDATE facts SET forgotten = 1 WHERE sequence = ?", [(sequence,) for sequence in sequences])
    return len(sequences)


def _place(fact: Fact) -> bytes:
    return context("fact", FACT_FORMAT, fact.kind, fact.key, fact.sequence)
