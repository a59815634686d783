"""Meeting a server whose audit log this device may know: the log has to go on from what was seen of it.

The server learns how far this device knows the log.
"""

from __future__ import annotations

from unseen.errors import LogWentBack
from unseen.v1 import audit_pb2, info_pb2
from unseen_client import rpcs
from unseen_client.receipts import ReceiptBook
from unseen_client.report import LogCheck
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local


def meet(session: Session, store_uid: bytes, info: info_pb2.GetServerInfoResponse) -> Flow[None]:
    """The first contact of a session; raises LogWentBack when the log does not go on from what this device has seen."""
    if not info.audit_origin:
        if (yield from local(lambda: session.has_receipts_of(store_uid))):
            raise LogWentBack("the server shows no audit log any more, and it had one; do not trust this server")
        return
    book = yield from local(lambda: session.know_log(store_uid, info.audit_origin))
    yield from local(lambda: book.know_keys(info.signing_keys))
    if (yield from local(lambda: book.head)) is not None:
        yield from check(session, book)


def check(session: Session, book: ReceiptBook) -> Flow[LogCheck]:
    """Ask for the newest head and take it when the log goes on from the last; raises LogWentBack."""
    size, since = yield from local(lambda: book.seen)
    request = audit_pb2.GetTreeHeadRequest(known_size=size)
    reply = yield from ask_one(session.patience, rpcs.GET_TREE_HEAD, [request], audit_pb2.GetTreeHeadResponse)
    head = yield from local(lambda: book.advance(reply.head, reply.consistency, since))
    return LogCheck(head.size, size, reply.head)
