"""How the server is doing, for its operator. The server learns that it was asked."""

from __future__ import annotations

from unseen.v1 import operations_pb2
from unseen_client import rpcs
from unseen_client.flows import collections
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.status import ServerStatus
from unseen_client.steps import Flow


def status(session: Session) -> Flow[ServerStatus]:
    """Ask for everything an operator may know."""
    yield from collections.server_info(session)
    reply = yield from ask_one(
        session.patience, rpcs.GET_STATUS, [operations_pb2.GetStatusRequest()], operations_pb2.GetStatusResponse
    )
    return ServerStatus.from_message(reply)
