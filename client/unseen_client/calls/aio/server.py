"""The server itself: what it is, who may do what, how it does, its backup and its audit log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from unseen.audit.receipt import Receipt
from unseen_client.access import Access, Quota
from unseen_client.calls.aio.calls import AsyncCalls
from unseen_client.calls.arguments import AnyPath, Receipts, Tokens
from unseen_client.flows.audit import Write
from unseen_client.report import BackupMade, LogCheck, ServerInfo
from unseen_client.status import ServerStatus


class ServerAsyncCalls(AsyncCalls):
    """Part of ``AsyncClient``."""

    async def server_info(self) -> ServerInfo:
        """What the server is and takes."""
        return await self._drive(self._protocol.server_info())

    async def access(self, collection: str | None = None) -> Access:
        """Who this client is to the server and what it may do; with a collection, what is left of its rows' bits."""
        return await self._drive(self._protocol.access(collection))

    async def create_token(
        self,
        name: str,
        roles: str | Iterable[str],
        *,
        tenant: str | None = None,
        collections: str | Iterable[str] | None = None,
        expires: str = "90d",
        quota: Quota | None = None,
    ) -> str:
        """Make a token for somebody; its text is given here, once, and kept nowhere.

        ``collections`` names those within its reach (None: every one); ``tenant`` is this client's own unless given.
        Raises NotPermitted for more than this client may do itself, InvalidInput.
        """
        return await self._drive(self._protocol.create_token(name, roles, tenant, collections, expires, quota))

    async def list_tokens(self) -> Tokens:
        """The tokens that this client could have made, the oldest first, revoked and expired ones too."""
        return await self._drive(self._protocol.list_tokens())

    async def revoke_token(self, uid: str) -> None:
        """End a token for good, by the hex digits that ``list_tokens`` shows; raises NotFound."""
        return await self._drive(self._protocol.revoke_token(uid))

    async def status(self) -> ServerStatus:
        """How the server is doing: for the role operator."""
        return await self._drive(self._protocol.status())

    async def backup(self, place: AnyPath) -> BackupMade:
        """Fetch a backup of everything the server keeps, while it goes on serving: for the role operator.

        ``place`` is a file that is not there yet, or a folder. It appears whole and checked, or not at all. It holds no
        key: a restore needs the server's key ring and master key.
        """
        return await self._drive(self._protocol.backup(place))

    async def audit_check(self) -> LogCheck:
        """Whether the server's audit log goes on from what this device has seen of it; raises LogWentBack.

        Every client does this by itself when it first meets a server.
        """
        return await self._drive(self._protocol.audit_check())

    async def audit_receipts(self) -> Receipts:
        """The receipts that this device keeps of this server, oldest first."""
        return await self._drive(self._protocol.audit_receipts())

    async def audit_prove(self, receipt: Receipt) -> LogCheck:
        """Have the server prove that a receipt's act is in its log; raises ProofBroken, LogWentBack."""
        return await self._drive(self._protocol.audit_prove(receipt))

    async def audit_export(
        self, write: Write, *, since: datetime | None = None, against: Sequence[str] = ()
    ) -> LogCheck:
        """Fetch the log, check every leaf against the signed head, then give ``write`` its lines: for auditors.

        ``against`` are signed heads from elsewhere that the log must have had. Raises ProofBroken, LogWentBack.
        """
        return await self._drive(self._protocol.audit_export(write, since, against))

    async def audit_accept(self) -> LogCheck:
        """Begin anew with the log that the server shows now, after it was restored from a backup."""
        return await self._drive(self._protocol.audit_accept())
