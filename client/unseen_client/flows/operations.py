"""What a server's operator asks: how it is doing, and for a backup. The server learns that it was asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from unseen.v1 import operations_pb2
from unseen_client import rpcs
from unseen_client.backup_file import IncomingBackup, target_of
from unseen_client.flows import collections
from unseen_client.report import BackupMade
from unseen_client.retry import ask, ask_one
from unseen_client.session import Session
from unseen_client.status import ServerStatus
from unseen_client.steps import Flow, local

SECONDS_FOR_A_BACKUP = 6 * 3600.0
"""What one transfer may take. It buys no second one: what broke for good would be fetched again for hours."""


def backup(session: Session, place: Path) -> Flow[BackupMade]:
    """Fetch a backup of everything into a new file, or into one of its own name in the folder ``place``."""
    server = yield from collections.server_info(session)
    path = yield from local(lambda: target_of(place, datetime.now(UTC)))
    incoming = yield from ask(
        session.patience,
        rpcs.CREATE_BACKUP,
        [operations_pb2.CreateBackupRequest()],
        lambda: IncomingBackup(path, server.store_uid),
        exchange_s=SECONDS_FOR_A_BACKUP,
    )
    try:
        yield from local(incoming.keep)
    finally:
        incoming.close()
    return BackupMade(path, incoming.size_bytes, incoming.sha256, incoming.store_uid)


def status(session: Session) -> Flow[ServerStatus]:
    """Ask for everything an operator may know."""
    yield from collections.server_info(session)
    reply = yield from ask_one(
        session.patience, rpcs.GET_STATUS, [operations_pb2.GetStatusRequest()], operations_pb2.GetStatusResponse
    )
    return ServerStatus.from_message(reply)
