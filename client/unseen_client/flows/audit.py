"""The server's audit log for people: is it the one of before, is an act in it, and, for auditors, all of it.

The server learns how far this device knows the log, and which of its own acts it asks about.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from unseen import wire
from unseen.audit.export import ExportBegin, Rebuilding, head_line
from unseen.audit.head import TreeHead
from unseen.audit.receipt import Receipt
from unseen.errors import LogWentBack, MalformedMessage, NotFound, ServerUnavailable
from unseen.v1 import audit_pb2, info_pb2
from unseen_client import rpcs
from unseen_client.flows import collections, known_log
from unseen_client.receipts import ReceiptBook
from unseen_client.report import LogCheck
from unseen_client.retry import ask, ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local

Write = Callable[[bytes], object]

IN_MEMORY_BYTES = 8 << 20
"""A larger export waits on this device's disk until its head is here."""
SECONDS_FOR_AN_EXPORT = 3600.0
"""Added to the time an export may take: ten million leaves are gigabytes."""


def check(session: Session) -> Flow[LogCheck]:
    """Whether the log goes on from what this device has seen; raises LogWentBack."""
    book = yield from _book(session)
    return (yield from known_log.check(session, book))


def receipts(session: Session) -> Flow[list[Receipt]]:
    """Every receipt that this device keeps of the server, oldest first."""
    book = yield from _book(session)
    return (yield from local(book.receipts))


def prove(session: Session, receipt: Receipt) -> Flow[LogCheck]:
    """Have the server prove that a receipt's leaf is in its log as it stands now; raises ProofBroken."""
    book = yield from _book(session)
    seen = yield from known_log.check(session, book)
    request = audit_pb2.ProveInclusionRequest(index=receipt.index)
    try:
        reply = yield from ask_one(session.patience, rpcs.PROVE_INCLUSION, [request], audit_pb2.ProveInclusionResponse)
    except NotFound as error:
        raise LogWentBack(f"the server's audit log no longer holds what it gave a receipt for: {error}") from error
    head = yield from local(lambda: book.prove(receipt, reply.head, reply.inclusion))
    return LogCheck(head.size, seen.since, reply.head)


def export(session: Session, write: Write, since_ms: int, against: Sequence[str]) -> Flow[LogCheck]:
    """Fetch leaves, build the tree anew from them, and then hand each line of an export to ``write``.

    ``against`` are signed heads from elsewhere, which the log must have had. Raises LogWentBack, ProofBroken when the
    leaves do not give the signed heads: nothing was written then.
    """
    book = yield from _book(session)
    wanted = yield from local(lambda: [book.opened(note) for note in against])
    seen = yield from known_log.check(session, book)
    known = yield from local(lambda: book.public_keys)
    incoming = yield from ask(
        session.patience.longer(SECONDS_FOR_AN_EXPORT),
        rpcs.EXPORT_LEAVES,
        [audit_pb2.ExportLeavesRequest(since_ms=since_ms)],
        lambda: IncomingExport(session.home, book.origin, known, wanted),
    )
    try:
        head = incoming.covered()
        if head.size < seen.leaves:
            raise LogWentBack(f"the export ends at leaf {head.size}, the log had {seen.leaves} just before")
        yield from local(lambda: incoming.pass_on(write))
    finally:
        incoming.close()
    return LogCheck(head.size, seen.since, incoming.note)


def accept(session: Session) -> Flow[LogCheck]:
    """Forget what this device has seen of the log and begin anew with what the server shows now."""
    reply = yield from ask_one(
        session.patience, rpcs.GET_SERVER_INFO, [info_pb2.GetServerInfoRequest()], info_pb2.GetServerInfoResponse
    )
    store_uid = wire.require_uid(reply.store_uid, "the store's uid")
    if not reply.audit_origin:
        raise NotFound("this server keeps no audit log; it is of an older release")
    book = yield from local(lambda: session.know_log(store_uid, reply.audit_origin))
    yield from local(book.forget)
    yield from local(lambda: book.know_keys(reply.signing_keys))
    return (yield from known_log.check(session, book))


def _book(session: Session) -> Flow[ReceiptBook]:
    """The log of the server, after meeting it."""
    yield from collections.server_info(session)
    if session.receipts is None:
        raise NotFound("this server keeps no audit log; it is of an older release")
    return session.receipts


class IncomingExport:
    """Receives one export, checks it leaf by leaf and keeps it aside until it is known to be whole and right."""

    def __init__(self, folder: Path, origin: str, public_keys: tuple[bytes, ...], wanted: Sequence[TreeHead]) -> None:
        self._lines = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 - see close
        self._origin = origin
        self._public_keys = public_keys
        self._wanted = wanted
        self._tree: Rebuilding | None = None
        self._head: TreeHead | None = None
        self.note = ""

    def take(self, reply: audit_pb2.ExportLeavesResponse) -> None:
        part = reply.WhichOneof("part")
        if part == "begin" and self._tree is None:
            begin = ExportBegin(self._origin, self._public_keys, reply.begin.first_index, tuple(reply.begin.subtrees))
            self._tree = Rebuilding(begin, self._wanted)
            self._keep(begin.to_bytes())
        elif part == "page" and self._tree is not None and self._head is None:
            for leaf in reply.page.leaves:
                self._tree.add(leaf)
                self._keep(leaf)
        elif part == "head" and self._tree is not None and self._head is None:
            self._head, self.note = self._tree.finish(reply.head), reply.head
            self._keep(head_line(reply.head))
        else:
            raise MalformedMessage("an export of the audit log came out of order; the server does not fit this client")

    def finish(self) -> None:
        self.covered()

    def close(self) -> None:
        """Drop what was kept aside."""
        self._lines.close()

    def covered(self) -> TreeHead:
        """The head that covers everything that came."""
        if self._head is None:
            raise ServerUnavailable("the export was cut before its head")
        return self._head

    def pass_on(self, write: Write) -> None:
        """Every line, its end included."""
        self._lines.seek(0)
        for line in self._lines:
            write(line)

    def _keep(self, line: bytes) -> None:
        self._lines.write(line + b"\n")
