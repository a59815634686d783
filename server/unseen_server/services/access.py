"""AccessService: who a caller is; tokens made, listed, revoked. A secret never comes here, only its hash.

Nobody hands on more than they may do themselves: not another tenant, role or collection, not a larger allowance. What
somebody could not have made they do not see, and may not revoke.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable

from unseen import wire
from unseen.errors import InvalidInput, MalformedMessage, NotPermitted
from unseen.types import UID_BYTES
from unseen.v1 import access_pb2, access_pb2_grpc
from unseen_server import limits
from unseen_server.access.delegation import may_hand_on
from unseen_server.access.grants import Grant, Grants, no_such_token
from unseen_server.access.names import require_collections, require_name, require_roles, require_tenant
from unseen_server.call import Allowance, Call, Caller, Role
from unseen_server.engine import Engine
from unseen_server.quota import Quotas
from unseen_server.workers import Workers

HASH_BYTES = 32


class AccessService(access_pb2_grpc.AccessServiceServicer):
    """Messages in, grants and quotas, messages out."""

    def __init__(
        self, engine: Engine, grants: Grants, quotas: Quotas, workers: Workers, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._grants = grants
        self._quotas = quotas
        self._workers = workers
        self._clock = clock

    async def GetAccess(  # noqa: N802 - the contract's name
        self, request: access_pb2.GetAccessRequest, call: Call
    ) -> access_pb2.GetAccessResponse:
        """Tell the caller who it is."""
        bits_left = None
        if request.collection_name:
            if Role.READER not in call.caller.roles:
                raise NotPermitted("bits of rows are for who may search; leave the collection out")
            info = self._engine.by_name(call.caller, request.collection_name)
            bits_left = await self._quotas.bits_left(call.caller, info.uid)
        return access_pb2.GetAccessResponse(
            access=_access_to_message(call.caller),
            allowance=_allowance_to_message(self._quotas.allowance_of(call.caller)),
            bits_per_row_left=int(bits_left or 0),
        )

    async def CreateToken(  # noqa: N802
        self, request: access_pb2.CreateTokenRequest, call: Call
    ) -> access_pb2.CreateTokenResponse:
        """Write down what a token may do."""
        request_id = call.own_request_id(wire.require_uid(request.request_id, "a request id"))
        now = int(self._clock())
        if not now < request.expires_at_s <= now + limits.MAX_TOKEN_LIFE_S:
            raise InvalidInput(
                f"a token ends after now and within {limits.MAX_TOKEN_LIFE_S // 86400} days by the server's clock; "
                "give another time, or look at the clocks"
            )
        if len(request.secret_hash) != (0 if request.certificate else HASH_BYTES):
            raise MalformedMessage(f"a token needs a hash of {HASH_BYTES} bytes, or else the name of a certificate")
        grant = Grant(
            _token_uid(request_id),
            _caller_from(request),
            now,
            request.expires_at_s,
            request.secret_hash,
            require_name(request.certificate) if request.certificate else "",
            call.caller.name,
        )
        if grant.certificate and not call.caller.is_local:
            # Names of certificates are one list for all tenants: who binds one decides where that device's data goes.
            raise NotPermitted("a certificate's name is bound on the server's machine: `unseen tokens create --data`")
        if not may_hand_on(call.caller, grant.caller, self._quotas.allowance_of):
            raise NotPermitted(
                "nobody hands on more than their own tenant, roles, collections and quotas; `unseen tokens whoami` "
                "shows the caller's"
            )
        await self._workers.change(self._grants.add, grant, request_id)
        return access_pb2.CreateTokenResponse(token_uid=grant.uid)

    async def ListTokens(  # noqa: N802
        self, request: access_pb2.ListTokensRequest, call: Call
    ) -> AsyncIterator[access_pb2.ListTokensResponse]:
        """Show those that the caller could have made."""
        seen = [grant for grant in self._grants.all() if self._may_manage(call.caller, grant)]
        for start in range(0, max(1, len(seen)), limits.TOKENS_PER_MESSAGE):
            page = seen[start : start + limits.TOKENS_PER_MESSAGE]
            yield access_pb2.ListTokensResponse(tokens=[_grant_to_message(grant) for grant in page])

    async def RevokeToken(  # noqa: N802
        self, request: access_pb2.RevokeTokenRequest, call: Call
    ) -> access_pb2.RevokeTokenResponse:
        """End one that the caller could have made."""
        request_id = call.own_request_id(wire.require_uid(request.request_id, "a request id"))
        uid = wire.require_uid(request.token_uid, "a token's uid")
        grant = self._grants.find(uid)
        if grant is None or not self._may_manage(call.caller, grant):
            raise no_such_token()
        await self._workers.change(self._grants.revoke, uid, int(self._clock()), request_id)
        return access_pb2.RevokeTokenResponse()

    def _may_manage(self, caller: Caller, grant: Grant) -> bool:
        return may_hand_on(caller, grant.caller)


def _token_uid(own_request_id: bytes) -> bytes:
    """The same for the same request, and another for every tenant: a uid says nothing about others' tokens."""
    return hashlib.sha256(b"unseen token uid\0" + own_request_id).digest()[:UID_BYTES]


def _caller_from(request: access_pb2.CreateTokenRequest) -> Caller:
    access = request.access
    if access.every_collection == bool(access.collections):
        raise MalformedMessage("a token is for every collection or names some; got both, or neither")
    return Caller(
        require_tenant(access.tenant),
        require_name(access.name),
        require_roles(access.roles),
        None if access.every_collection else require_collections(access.collections),
        _allowance_from(request.allowance),
    )


def _allowance_from(message: access_pb2.Allowance) -> Allowance:
    return Allowance(
        message.calls_at_once or None,
        message.bytes_per_minute or None,
        message.searches_per_minute or None,
        message.bits_per_row_per_day or None,
    )


def _access_to_message(caller: Caller) -> access_pb2.Access:
    return access_pb2.Access(
        tenant=caller.tenant,
        name=caller.name,
        roles=sorted(caller.roles),
        collections=sorted(caller.collections or ()),
        every_collection=caller.collections is None,
    )


def _allowance_to_message(allowance: Allowance) -> access_pb2.Allowance:
    return access_pb2.Allowance(
        calls_at_once=allowance.calls_at_once or 0,
        bytes_per_minute=allowance.bytes_per_minute or 0,
        searches_per_minute=allowance.searches_per_minute or 0,
        bits_per_row_per_day=allowance.bits_per_row_per_day or 0,
    )


def _grant_to_message(grant: Grant) -> access_pb2.Token:
    return access_pb2.Token(
        uid=grant.uid,
        access=_access_to_message(grant.caller),
        allowance=_allowance_to_message(grant.caller.allowance),
        made_at_s=grant.made_at,
        expires_at_s=grant.expires_at,
        revoked_at_s=grant.revoked_at or 0,
        made_by=grant.made_by,
        certificate=grant.certificate,
    )
