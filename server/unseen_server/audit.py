"""The audit log as the server writes it: every act that matters, on disk before anybody is told how it ended.

    record -> queue -> one thread: groups what waits, one write and one fsync for each tenant's log -> receipts

Every tenant has a log of its own: the size of a tree tells how much has happened, and that is nobody else's business.
What belongs to no tenant (refused strangers, starts and stops) is in the log of the tenant without a name.

The folder's names and everything in it are sealed or keyed hashes: a stolen disk gives counts and sizes.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from unseen.audit.leaf import DONE, SALT_BYTES, Details, Leaf
from unseen.audit.log import Log
from unseen.audit.receipt import Receipt
from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES, derive_key
from unseen.errors import AuditUnavailable, IntegrityError, StoreFailed, UnseenError
from unseen.store.interface import Store
from unseen_server.call import Caller
from unseen_server.signing import SigningKey

AUDIT_FOLDER = "audit"
"""In the data directory."""
KEY_FACT_KIND = "audit-key"
KEY_FORMAT = b"\x01"
LEAVES_AT_ONCE = 1024
"""Most leaves in one write; what waits longer than that has a queue of calls before it anyway."""
TRY_AGAIN_S = 1.0
"""How often a log without room is tried again: nobody may be sent here until it has some."""
SERVER = Caller(tenant="", name="server", roles=frozenset())
"""Who does what nobody asked for: starts, stops, jobs."""


@dataclass(frozen=True)
class _Waiting:
    tenant: str
    leaf: bytes
    receipt: Future[Receipt]


class Audit:
    """The logs of all tenants. Safe to call from several threads."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        signing_key: SigningKey,
        on_room: Callable[[bool], None] = lambda _: None,
        on_written: Callable[[int, float], None] = lambda *_: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open every log in ``folder``; IntegrityError when one lost leaves or was altered.

        Called from another thread: ``on_room`` with False when nothing can be written, with True when it can again;
        ``on_written`` with the number of a group's leaves and the seconds that it took.
        """
        self._folder = folder
        self._store_uid = store.uid
        self._key = _open_key(store)
        self._signing_key = signing_key
        self._on_room = on_room
        self._on_written = on_written
        self._clock_ns = clock_ns
        self._has_room = True
        self._closing = False
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._logs: dict[str, Log] = {}
        self._by_tenant: dict[str, Log] = {}
        self._opening = threading.Lock()
        for found in sorted(folder.iterdir()) if folder.exists() else []:
            self._open(found.name)
        self._thread = threading.Thread(target=self._write, name="unseen-audit", daemon=True)
        self._thread.start()

    def record(self, caller: Caller, act: str, outcome: str = DONE, details: Details | None = None) -> Future[Receipt]:
        """Write a leaf; the future gives its receipt once it is on disk.

        Raises through the future: AuditUnavailable when there is no room, StoreFailed when the disk failed.
        """
        time_ms = self._clock_ns() // 1_000_000
        leaf = Leaf(act, caller.name, time_ms, outcome, details or Details(), caller.tenant)
        waiting = _Waiting(caller.tenant, leaf.to_bytes(random_bytes(SALT_BYTES)), Future())
        waiting.receipt.set_running_or_notify_cancel()  # a caller that leaves takes no leaf back
        with self._changed:
            # What follows from a leaf that still waits is written as well: a leaf that takes it back.
            if self._closing and threading.current_thread() is not self._thread:
                raise StoreFailed("the audit log is closed; restart the server")
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.receipt

    def record_now(self, caller: Caller, act: str, outcome: str = DONE, details: Details | None = None) -> Receipt:
        """As ``record``, waited for: for threads and commands."""
        return self.record(caller, act, outcome, details).result()

    def log_of(self, tenant: str) -> Log:
        """The log of one tenant; made when it has none yet."""
        with self._opening:
            if tenant not in self._by_tenant:
                self._by_tenant[tenant] = self._open(self._name_of(tenant))
            return self._by_tenant[tenant]

    def origin_of(self, tenant: str) -> str:
        """The name of a tenant's log: in every head of it."""
        return self._origin(self._name_of(tenant))

    def logs(self) -> Sequence[Log]:
        """Every log there is."""
        with self._opening:
            return tuple(self._logs.values())

    @property
    def has_room(self) -> bool:
        """Whether acts can be written down."""
        return self._has_room

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """What heads are checked with."""
        return self._signing_key.public_keys

    def subject_hash(self, pseudonym: str) -> bytes:
        """What leaves have in place of a data subject's pseudonym: 16 bytes, keyed."""
        return self._keyed_hash(b"unseen/audit/subject", pseudonym)[:16]

    def tenant_hash(self, tenant: str) -> str:
        """What diagnostics may say in place of a tenant's name: 16 hex digits, keyed; not those of its log's folder."""
        return self._keyed_hash(b"unseen/audit/tenant-in-metrics", tenant)[:8].hex()

    def copy_to(self, folder: Path) -> None:
        """Copy every log as it is on disk now. To be called after the store was copied: no effect without its leaf."""
        for log in self.logs():
            log.copy_to(folder / log.origin.rpartition("/")[2])

    def close(self, checkpoints: bool = True) -> None:
        """Write what waits, leave checkpoints, let go of the files.

        None when the store failed: a checkpoint says that everything before it need not be looked for at a start.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        for log in self.logs():
            log.close(checkpoints)

    # The one thread that writes

    def _write(self) -> None:
        while (group := self._next_group()) is not None:
            by_tenant: dict[str, list[_Waiting]] = {}
            for waiting in group:
                by_tenant.setdefault(waiting.tenant, []).append(waiting)
            for tenant, its in by_tenant.items():
                self._append(tenant, its)

    def _next_group(self) -> list[_Waiting] | None:
        """What waits, as soon as something does; None when everything is written and nothing more will come.

        Without room a leaf of our own is tried after a while: that it can be written tells that there is room again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing, None if self._has_room else TRY_AGAIN_S)
            if not self._waiting and not self._closing:
                self.record(SERVER, "audit-log-has-room-again")
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), LEAVES_AT_ONCE))]
            return None if self._closing and not group else group

    def _append(self, tenant: str, group: list[_Waiting]) -> None:
        began_s = time.monotonic()
        try:
            appended = self.log_of(tenant).append([waiting.leaf for waiting in group])
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            self._say_room(not isinstance(error, AuditUnavailable | OSError))
            failure = error if isinstance(error, UnseenError) else _unavailable(error)
            for waiting in group:
                waiting.receipt.set_exception(failure)
            return
        self._say_room(True)
        self._on_written(len(group), time.monotonic() - began_s)
        for at, waiting in enumerate(group, appended.first_index):
            waiting.receipt.set_result(Receipt(at, waiting.leaf, appended.head))

    def _say_room(self, has_room: bool) -> None:
        if has_room != self._has_room:
            self._has_room = has_room
            self._on_room(has_room)

    # Logs by name

    def _name_of(self, tenant: str) -> str:
        return self._keyed_hash(b"unseen/audit/tenant", tenant)[:8].hex()

    def _open(self, name: str) -> Log:
        if name not in self._logs:
            key = log_key(self._key, name)
            self._logs[name] = Log(self._folder / name, self._origin(name), key, self._signing_key)
        return self._logs[name]

    def _origin(self, name: str) -> str:
        return origin_in(self._store_uid, name)

    def _keyed_hash(self, purpose: bytes, text: str) -> bytes:
        return hmac.new(derive_key(self._key, purpose), text.encode(), hashlib.sha256).digest()


def origin_in(store_uid: bytes, name: str) -> str:
    """The name that a log of a store has in its heads and seals; ``name`` is its folder's."""
    return f"unseen/{store_uid.hex()}/{name}"


def log_key(audit_key: bytes, name: str) -> bytes:
    """What seals the leaves of one log."""
    return derive_key(audit_key, f"unseen/audit/log/{name}".encode())


def _unavailable(error: Exception) -> UnseenError:
    return AuditUnavailable(f"the audit log cannot be written ({type(error).__name__}); make room on its disk")


def _open_key(store: Store) -> bytes:
    """The key of all logs, a fact of the store; made first when it has none."""
    facts = store.facts(KEY_FACT_KIND)
    if not facts:
        facts = (store.append_fact(KEY_FACT_KIND, b"", KEY_FORMAT + random_bytes(KEY_BYTES)),)
    body = facts[-1].body
    if body[:1] != KEY_FORMAT or len(body) != 1 + KEY_BYTES:
        raise IntegrityError("the audit log's key in the store has a form that this release does not know")
    return body[1:]
