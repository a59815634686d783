"""Access: who this client is; tokens made, listed, revoked. A token's secret is drawn here and never sent as it is."""

from __future__ import annotations

from collections.abc import Sequence

from unseen import wire
from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen.errors import UnseenError
from unseen.v1 import access_pb2
from unseen_client import rpcs
from unseen_client.access import Access, Quota, TokenInfo
from unseen_client.retry import ask, ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow

MOST_PAGES = 10_000
"""Far more than a server keeps."""


def own_access(session: Session, collection: str | None) -> Flow[Access]:
    """Who the server takes this client for; with a collection, what is left of the bits of its rows."""
    request = access_pb2.GetAccessRequest(collection_name=collection or "")
    reply = yield from ask_one(session.patience, rpcs.GET_ACCESS, [request], access_pb2.GetAccessResponse)
    quota, limited = _quota_from(reply.allowance), collection and reply.allowance.bits_per_row_per_day
    bits_left = int(reply.bits_per_row_left) if limited else None
    access = reply.access
    return Access(access.tenant, access.name, tuple(access.roles), _scope_from(access), quota, bits_left)


def create_token(
    session: Session,
    name: str,
    roles: Sequence[str],
    tenant: str | None,
    collections: Sequence[str] | None,
    expires_at: int,
    quota: Quota,
) -> Flow[str]:
    """Make a token; its text is in nobody's hands but the caller's."""
    if tenant is None:
        own = yield from own_access(session, None)
        tenant = own.tenant
    secret = draw_secret()
    request = access_pb2.CreateTokenRequest(
        request_id=random_uid(),
        access=access_pb2.Access(
            tenant=tenant,
            name=name,
            roles=roles,
            collections=collections or (),
            every_collection=collections is None,
        ),
        allowance=_quota_to_message(quota),
        expires_at_s=expires_at,
        secret_hash=secret_hash(secret),
    )
    reply = yield from ask_one(session.patience, rpcs.CREATE_TOKEN, [request], access_pb2.CreateTokenResponse)
    return BearerToken(wire.require_uid(reply.token_uid, "a token's uid"), secret).text()


def list_tokens(session: Session) -> Flow[list[TokenInfo]]:
    """The tokens that this client may manage, the oldest first."""
    pages = yield from ask(session.patience, rpcs.LIST_TOKENS, [access_pb2.ListTokensRequest()], _Pages)
    return [_token_from(token) for page in pages.taken for token in page.tokens]


def revoke_token(session: Session, uid: bytes) -> Flow[None]:
    """End a token for good."""
    request = access_pb2.RevokeTokenRequest(request_id=random_uid(), token_uid=uid)
    yield from ask_one(session.patience, rpcs.REVOKE_TOKEN, [request], access_pb2.RevokeTokenResponse)


class _Pages:
    """Receives a listing; the status at its end says that it is whole."""

    def __init__(self) -> None:
        self.taken: list[access_pb2.ListTokensResponse] = []

    def take(self, reply: access_pb2.ListTokensResponse) -> None:
        if len(self.taken) >= MOST_PAGES:
            raise UnseenError(f"the server sent more than {MOST_PAGES} pages of tokens; it does not fit this client")
        self.taken.append(reply)

    def finish(self) -> None:
        pass

    def close(self) -> None:
        self.taken.clear()


def _token_from(message: access_pb2.Token) -> TokenInfo:
    return TokenInfo(
        wire.require_uid(message.uid, "a token's uid").hex(),
        message.access.tenant,
        message.access.name,
        tuple(message.access.roles),
        _scope_from(message.access),
        _quota_from(message.allowance),
        message.made_at_s,
        message.expires_at_s,
        message.revoked_at_s or None,
        message.made_by,
        message.certificate,
    )


def _scope_from(message: access_pb2.Access) -> tuple[str, ...] | None:
    return None if message.every_collection else tuple(message.collections)


def _quota_from(message: access_pb2.Allowance) -> Quota:
    return Quota(
        message.calls_at_once or None,
        message.bytes_per_minute or None,
        message.searches_per_minute or None,
        message.bits_per_row_per_day or None,
    )


def _quota_to_message(quota: Quota) -> access_pb2.Allowance:
    return access_pb2.Allowance(
        calls_at_once=quota.calls_at_once or 0,
        bytes_per_minute=quota.bytes_per_minute or 0,
        searches_per_minute=quota.searches_per_minute or 0,
        bits_per_row_per_day=quota.bits_per_row_per_day or 0,
    )
