"""The gate: says who a call is by, from its metadata and certificate alone, before a byte of its message is looked at.

    a token in ``authorization``    ->  the grant with its hash, or what the issuer of a JSON Web Token signed
    else a client certificate       ->  the grant for its name
    else, only where the server is open to its own machine or to its own authority's devices: everything

Holds hashes of tokens and, for a moment, a token; it logs and repeats none of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias

from grpc import aio

from unseen.bearer import PREFIX
from unseen.errors import InvalidInput, NotAuthenticated, ServerUnavailable
from unseen_server.access.grants import Grants
from unseen_server.access.names import require_name
from unseen_server.access.signed_tokens import SignedTokens
from unseen_server.access.table import rule_for
from unseen_server.call import LOCAL, Caller, Role

Context: TypeAlias = "aio.ServicerContext[Any, Any]"

AUTHORIZATION, SCHEME = "authorization", "Bearer "


class Entry(StrEnum):
    """Whom the server lets in without a token."""

    AUTO = "auto"
    """As long as no token was ever made and no issuer is named: its own machine, or its client authority's devices."""
    REQUIRED = "required"
    """Nobody."""
    LOOPBACK_OPEN = "loopback-open"
    """Its own machine, tokens or not."""


class Gate:
    """Used by one event loop. Lets nobody in before ``open``."""

    def __init__(
        self, entry: Entry, on_loopback: bool, signed: SignedTokens | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._entry = entry
        self._on_loopback = on_loopback
        self._signed = signed
        self._clock = clock
        self._grants: Grants | None = None

    def open(self, grants: Grants) -> None:
        """Let in who holds one of these."""
        self._grants = grants

    def admit(self, method: str, context: Context, on_known: Callable[[Caller], None] = lambda _: None) -> Caller:
        """Who calls; NotAuthenticated when nobody known does, NotPermitted when the method is not for it.

        ``on_known`` is told who calls before its rights are looked at: the audit log names who tried more.
        """
        rule = rule_for(method)
        caller = self._caller(context)
        on_known(caller)
        rule.require(caller)
        return caller

    def _caller(self, context: Context) -> Caller:
        if self._grants is None:
            raise ServerUnavailable("the server has not read its tokens yet; wait a little, then try again")
        now = self._clock()
        token = _token_of(context)
        if token is not None:
            if self._signed is None or token.startswith(PREFIX):
                return self._grants.by_token(token, now)
            return self._signed.caller(token, now)
        certificate = _certificate_name(context)
        named = None if certificate is None else self._grants.by_certificate(certificate, now)
        return named or self._unnamed(self._grants, certificate)

    def _unnamed(self, grants: Grants, certificate: str | None) -> Caller:
        """Who has no token, and no certificate that a token stands for."""
        if self._entry is Entry.LOOPBACK_OPEN and self._on_loopback:
            return LOCAL
        if self._nobody_was_ever_named(grants):
            if certificate is not None:
                return Caller(tenant="", name=certificate, roles=frozenset(Role))
            if self._on_loopback:
                return LOCAL
        raise NotAuthenticated("this server wants to know who calls: give a token (token=, or UNSEEN_TOKEN)")

    def _nobody_was_ever_named(self, grants: Grants) -> bool:
        return self._entry is Entry.AUTO and self._signed is None and not grants.were_ever_given


def _token_of(context: Context) -> str | None:
    values = [str(value) for key, value in context.invocation_metadata() or () if key == AUTHORIZATION]
    if not values:
        return None
    if len(values) > 1 or not values[0].startswith(SCHEME):
        raise NotAuthenticated("the authorization of a call is one header, 'Bearer' and a token; got something else")
    return values[0].removeprefix(SCHEME)


def _certificate_name(context: Context) -> str | None:
    """The common name of the client's certificate, None without one."""
    found: dict[str, Any] = dict(context.auth_context() or {})
    if "x509_pem_cert" not in found:
        return None
    names = [bytes(name).decode("utf-8", "replace") for name in found.get("x509_common_name", ())]
    if len(names) != 1:
        raise NotAuthenticated(f"the client's certificate has {len(names)} common names; it needs one")
    try:
        return require_name(names[0])
    except InvalidInput as error:
        raise NotAuthenticated(f"the client's certificate was taken, but {error}") from None
