"""``python -m bench.faults.life``: live in a store until killed, or for so many steps, and tell what was acknowledged.

It does what the server does around each step: a leaf in the audit log before, another after, then the acknowledgement.
Acknowledgements go through a socket, which no fault that is injected into files can touch.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.faults.plan import BACKUP, COLLECTION, CREATE, ENROL, ERASE, FACT, REKEY, ROTATE, Plan, Step
from unseen.audit.leaf import ASKED, DONE, Details
from unseen.errors import (
    AuditUnavailable,
    IntegrityError,
    LimitExceeded,
    MalformedMessage,
    ServerUnavailable,
    StoreFailed,
)
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store.sqlite import SqliteStore
from unseen.v1.operations_pb2 import BackupBegin, BackupEnd
from unseen.v1.operations_pb2 import CreateBackupResponse as Reply
from unseen_client.backup_file import IncomingBackup
from unseen_server.audit import Audit
from unseen_server.backups import Backups
from unseen_server.call import LOCAL
from unseen_server.signing import open_signing_key

ACTS = {CREATE: "CreateCollection", ENROL: "EnrolRows", ERASE: "EraseRows", FACT: "RecordConsent"}
"""Steps that the server writes down under these names."""
BORN = b"born"
"""What is told first, before the store is opened."""
STOPPED = 75
"""Exit code of a life that a failed disk ended, in one of the ways that are foreseen. Python's own, for an exception
that nobody foresaw, is 1."""
MASTER_KEY_BYTES = (bytes(32), bytes(range(32)))
MASTER_KEYS = tuple(HeldKey("file", key) for key in MASTER_KEY_BYTES)
"""What the key ring is put under in turn."""


def rings(folder: Path, master_key: int) -> KeyRings:
    """The key rings of a life, under one of the master keys."""
    return KeyRings(folder / "ring", MASTER_KEYS[master_key])


class Life:
    """One process's time in a store."""

    def __init__(self, folder: Path, master_key: int, tell: socket.socket) -> None:
        self._folder = folder
        self._master_key = master_key
        self._tell = tell
        (folder / "data").mkdir(exist_ok=True)
        self._store = SqliteStore(folder / "data", rings(folder, master_key))
        self._audit = Audit(folder / "data" / "audit", self._store, open_signing_key(self._store))
        self._backups = Backups(folder / "data", self._store, self._audit)

    @property
    def is_new(self) -> bool:
        """Whether there is no collection yet."""
        return not self._store.collections()

    def carry_out(self, step: Step) -> None:
        """Do one step and acknowledge it."""
        self._say("asked", step)
        details = Details(request_id=step.request_id)
        self._audit.record_now(LOCAL, ACTS.get(step.kind, step.kind), ASKED, details)
        self._do(step)
        self._audit.record_now(LOCAL, ACTS.get(step.kind, step.kind), DONE, details)
        self._say("done", step)

    def close(self) -> None:
        """End in peace."""
        self._store.close()
        self._audit.close()  # after the store, as the server does: only what is there has its checkpoint

    def _say(self, what: str, step: Step) -> None:
        self._tell.send(json.dumps({"what": what, **asdict(step)}).encode())

    def _do(self, step: Step) -> None:
        if step.kind == CREATE:
            self._store.create(step.request_id, COLLECTION)
        elif step.kind == ENROL:
            self._store.enrol(step.request_id, self._uid, step.rows)
        elif step.kind == ERASE:
            self._store.erase(step.request_id, self._uid, Step(step.victim, ENROL).rows.row_ids)
        elif step.kind == FACT:
            self._store.append_fact("fault", step.request_id, step.request_id, step.request_id)
        elif step.kind == BACKUP:
            self._back_up(self._folder / f"{step.number}.backup")
        elif step.kind == REKEY:
            self._store.renew_keys(self._uid)
        elif step.kind == ROTATE:
            self._master_key = 1 - self._master_key
            self._store.ring.rewrap(MASTER_KEYS[self._master_key])
        else:
            raise ValueError(f"nobody knows how to do {step.kind!r}")

    @property
    def _uid(self) -> bytes:
        return self._store.collections()[0].info.uid

    def _back_up(self, path: Path) -> None:
        """As operator and client do it together; StoreFailed when the client finds that a disk lied to one of them."""
        try:
            self._fetch_backup(path)
        except (IntegrityError, MalformedMessage, ServerUnavailable) as error:
            raise StoreFailed("the backup did not come, or does not lie on the disk, as it was announced") from error

    def _fetch_backup(self, path: Path) -> None:
        made = self._backups.begin()
        incoming = IncomingBackup(path, made.store_uid)
        try:
            incoming.take(Reply(begin=BackupBegin(size_bytes=made.size_bytes, store_uid=made.store_uid)))
            digest = hashlib.sha256()
            for chunk in made.chunks:
                digest.update(chunk)
                incoming.take(Reply(chunk=chunk))
        finally:
            made.close()
        incoming.take(Reply(end=BackupEnd(sha256=digest.digest())))
        incoming.finish()
        incoming.keep()


@dataclass(frozen=True)
class Orders:
    """What a life is told, as JSON on its command line."""

    folder: str
    first: int
    """Number of its first step."""
    standing: list[int]
    """Enrolments whose rows are there."""
    master_key: int
    """Which of MASTER_KEYS the ring is under."""
    seed: int | None
    """What steps are chosen by; None for each kind in turn."""
    steps: int
    """How many to do; 0 for until it is killed."""
    kinds: list[str]
    """What to choose steps from; as often as each comes."""
    descriptor: int
    """Of the socket that acknowledgements go through."""


def main() -> int:
    """Live as told. Exit codes: 0 at the end, STOPPED when the disk failed and the store or the audit log said so."""
    orders = Orders(**json.loads(sys.argv[1]))
    tell = socket.socket(fileno=orders.descriptor)
    tell.send(BORN)
    plan = Plan(orders.first, orders.standing, orders.seed, tuple(orders.kinds))
    try:
        life = Life(Path(orders.folder), orders.master_key, tell)
        try:
            if life.is_new:
                life.carry_out(plan.step_of(CREATE))
            done = 0
            while not orders.steps or done < orders.steps:
                life.carry_out(plan.step())
                done += 1
        finally:
            life.close()
    except (StoreFailed, AuditUnavailable, LimitExceeded):
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
