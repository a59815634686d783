"""Is a store what it says? Every seal is opened and every invariant counted; nothing is written.

Runs inside one reading transaction of any database. Findings say where and what, never content: no vector, record, name
or key. What each kind of database can add (checksums, indexes) is beside it: ``sqlite_examination.py``.

    store ── its key ring opens
    ├── facts ── places without gaps, each body opens, or is zeros and its key is gone
    ├── requests ── one for every epoch of every collection
    └── collection ── its keys are in the ring
        ├── slots ── each is a row's or free, never both; extents cover them
        ├── vectors ── a row's opens for its place, any other is zeros
        ├── records ── a row's opens for its place, any other is zeros and free
        ├── epochs ── of rows and erasures, in the order of what was done
        └── erasures ── what was erased later is not there, and its key is gone
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from unseen.errors import InvalidConfiguration, SealBroken, StoreFailed, UnseenError
from unseen.keys.ring import KeyRings
from unseen.keys.ring_content import Destroyed
from unseen.store import collections, facts, row_keys
from unseen.store.collection_examination import CollectionExamination
from unseen.store.database import Transaction
from unseen.store.interface import Fact
from unseen.store.sealing import StoreSeals
from unseen.types import UID_BYTES, CollectionInfo

DIGEST_BYTES = 32
KEPT_KINDS = ("audit-key", "signing-key")
"""Facts without which the audit logs beside the store could not be examined."""
OF_ANOTHER_KIND = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, struct.error)
"""What comes of cells that hold nothing, or a number for bytes: pages of several moments in one file have such."""
MOST_FINDINGS = 1000
"""A store that is broken everywhere need not say so a million times."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it must be."""

    where: str
    what: str


@dataclass
class Report:
    """What an examination saw."""

    checked: Counter[str] = field(default_factory=Counter)
    """How many of what were looked at."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is no fault of the store, and worth knowing."""
    store_uid: bytes = b""
    facts: dict[str, list[bytes]] = field(default_factory=dict, repr=False)
    """Bodies of the facts of KEPT_KINDS, in order: keys. Never shown."""

    def add(self, where: str, what: str) -> None:
        """Write a finding down."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(where, what))


def examine(tx: Transaction, rings: KeyRings, report: Report) -> None:
    """Examine everything into a report; InvalidConfiguration or WrongKey when the keys are not this store's."""
    report.store_uid = row_keys.read_uid(tx)
    seals = StoreSeals(rings.open(report.store_uid))
    report.checked["key rings"] += 1
    try:
        _examine_content(tx, seals, report)
    except StoreFailed:
        raise
    except (UnseenError, *OF_ANOTHER_KIND) as error:
        report.add("tables", f"they cannot be read to their end ({type(error).__name__})")


def _examine_content(tx: Transaction, seals: StoreSeals, report: Report) -> None:
    in_step = row_keys.read_ring_state(tx) == seals.ring.content.state
    if not in_step:
        report.notes.append("data and key ring are not in step: the next start of a server finishes what was begun")
    _examine_facts(tx, seals, in_step, report)
    _examine_requests(tx, report)
    for stored in collections.read_collections(tx):
        _examine_collection(tx, seals, stored.info, in_step, report)


def _examine_facts(tx: Transaction, seals: StoreSeals, in_step: bool, report: Report) -> None:
    expected, openable, forgotten_since, keys = 1, 0, 0, seals.fact_keys()
    with tx.stream("SELECT sequence, kind, key, forgotten, sealed FROM facts ORDER BY sequence") as found:
        for sequence, kind, key, forgotten, sealed in found:
            report.checked["facts"] += 1
            if sequence != expected:
                report.add("facts", f"number {expected} is missing")
            expected = sequence + 1
            if forgotten:
                if not facts.is_emptied(sealed):
                    report.add("facts", f"number {sequence} is forgotten and its bytes are still there")
                own = facts.own_key(sealed)
                openable += own is not None and facts.is_held(seals, own)
                continue
            try:
                fact = facts.opened(seals, keys, Fact(sequence, kind, key, b""), sealed)
            except (SealBroken, InvalidConfiguration):
                report.add("facts", f"number {sequence} does not open")
                continue
            if fact is not None:
                if kind in KEPT_KINDS:
                    report.facts.setdefault(kind, []).append(fact.body)
            elif in_step:
                report.add("facts", f"number {sequence} stands there and its key was destroyed")
            else:
                forgotten_since += 1
    if forgotten_since:
        report.notes.append(f"facts: {forgotten_since} were forgotten since")
    if openable:
        what = f"{openable} forgotten ones could still be opened: their keys are in the ring"
        if in_step:
            report.add("facts", what)
        else:
            report.notes.append(f"facts: {what}")


def _examine_requests(tx: Transaction, report: Report) -> None:
    found = tx.fetch(
        "SELECT count(*), count(CASE WHEN length(request_id) <> ? OR length(digest) <> ? THEN 1 END) FROM requests",
        (UID_BYTES, DIGEST_BYTES),
    )
    report.checked["requests"] += found[0][0]
    if found[0][1]:
        report.add("requests", f"{found[0][1]} have an id or digest of a wrong length")


def _examine_collection(
    tx: Transaction, seals: StoreSeals, info: CollectionInfo, in_step: bool, report: Report
) -> None:
    where = f"collection {info.uid.hex()}"
    report.checked["collections"] += 1
    tree_id = row_keys.read_tree_id(tx, info.uid)
    if not in_step and seals.ring.why_destroyed(tree_id) is Destroyed.COLLECTION_DELETED:
        report.notes.append(f"{where} was deleted since: the next start of a server takes it away")
        return
    try:
        seal = seals.collection(info.uid, tree_id)
    except InvalidConfiguration as error:
        report.add(where, str(error))
        return
    number, _ = collections.find_collection(tx, info.uid)
    trees = [tree for tree_id in seals.ring.trees_of(info.uid) if (tree := seals.ring.tree(tree_id))]
    examination = CollectionExamination(tx, number, info, seal, trees, report.checked)
    for what in examination.findings():
        report.add(where, what)
    for what in examination.out_of_step():
        if in_step:
            report.add(where, what)
        else:
            report.notes.append(f"{where}: {what}")


def in_words(report: Report) -> Iterator[str]:
    """The report, line by line, and what to do."""
    yield from found_in_words(report)
    yield "the store is sound" if not report.findings else "restore a backup: `unseen restore`"


def found_in_words(report: Report) -> Iterator[str]:
    """What was looked at and what was found, line by line."""
    yield from (f"checked: {count:,} {what}" for what, count in sorted(report.checked.items()))
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"BROKEN: {finding.where}: {finding.what}" for finding in report.findings)
    if len(report.findings) == MOST_FINDINGS:
        yield f"and more; only the first {MOST_FINDINGS} are shown"
