"""Grants: who may do what until when, each known by a token's hash or by the name on a client certificate.

Kept as facts of the store, so they outlive a restart and lie sealed on disk; a token's secret is never here. A grant
that was revoked or has expired stays written down: a server that ever had one never again takes callers without one.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from unseen.bearer import BearerToken
from unseen.errors import IntegrityError, LimitExceeded, NotAuthenticated, NotFound, RequestReplayed
from unseen.store.interface import Fact, FactStore
from unseen_server import limits
from unseen_server.call import Allowance, Caller, Role

GRANT, REVOCATION = "grant", "grant-revoked"
"""Kinds of facts."""
FORMAT = 1
NO_HASH = bytes(32)
"""What an unknown token is compared with, so that it takes as long as a known one."""


@dataclass(frozen=True)
class Grant:
    """One of secret_hash and certificate is set."""

    uid: bytes
    caller: Caller
    made_at: int
    """Seconds since 1970, as all times here."""
    expires_at: int
    secret_hash: bytes = b""
    certificate: str = ""
    """The common name of the client certificate that this grant is for."""
    made_by: str = ""
    """Name of the caller that asked for it."""
    revoked_at: int | None = None

    def require_standing(self, now: float) -> None:
        """NotAuthenticated when it has been revoked, has expired, or is not yet made by the server's clock."""
        if self.revoked_at is not None:
            raise NotAuthenticated("this token was revoked; ask for another one")
        if now >= self.expires_at:
            raise NotAuthenticated("this token has expired; ask for another one")
        if now < self.made_at - limits.CLOCK_LEEWAY_S:
            raise NotAuthenticated("this token was made later than it is now by the server's clock; set that clock")


class Grants:
    """Every grant of a store. Looked up by one event loop; added and revoked from any thread."""

    def __init__(self, store: FactStore) -> None:
        """Read them; IntegrityError when one was altered."""
        self._store = store
        self._changing = threading.Lock()
        self._by_uid: dict[bytes, Grant] = {}
        self._by_certificate: dict[str, list[bytes]] = {}
        for fact in store.facts(GRANT):
            self._keep(_grant_from(fact))
        for fact in store.facts(REVOCATION):
            self._keep(replace(self._by_uid[fact.key], revoked_at=_content(fact)["at"]))

    @property
    def were_ever_given(self) -> bool:
        """Whether there is or was a grant."""
        return bool(self._by_uid)

    # Looking up

    def by_token(self, text: str, now: float) -> Caller:
        """Who holds a token; NotAuthenticated when it does not hold. The same steps for known and unknown ones."""
        token = BearerToken.parse(text)
        grant = self._by_uid.get(token.uid)
        matches = token.matches(grant.secret_hash if grant and grant.secret_hash else NO_HASH)
        if grant is None or not matches:
            raise NotAuthenticated("this server knows no such token; was it made for another server?")
        grant.require_standing(now)
        return grant.caller

    def by_certificate(self, name: str, now: float) -> Caller | None:
        """Who a client certificate names, None when no grant is for that name; NotAuthenticated when it has expired.

        Of several the newest that was not revoked.
        """
        named = [self._by_uid[uid] for uid in self._by_certificate.get(name, ())]
        if not named:
            return None
        grant = next((one for one in reversed(named) if one.revoked_at is None), named[-1])
        grant.require_standing(now)
        return grant.caller

    def all(self) -> tuple[Grant, ...]:
        """Every grant, the oldest first."""
        return tuple(self._by_uid.values())

    # Changing

    def add(self, grant: Grant, request_id: bytes) -> Grant:
        """Write a grant down; the same one again is answered again, another one of its uid is RequestReplayed."""
        with self._changing:
            known = self._by_uid.get(grant.uid)
            if known is not None:
                if replace(known, made_at=grant.made_at, revoked_at=None) != grant:
                    raise RequestReplayed("this request id made another token before; draw 16 new random bytes")
                return known
            if self._standing(grant.caller.tenant, grant.made_at) >= limits.MAX_TOKENS_PER_TENANT:
                raise LimitExceeded(f"a tenant has at most {limits.MAX_TOKENS_PER_TENANT} tokens; revoke some first")
            self._store.append_fact(GRANT, grant.uid, _body_of(grant), request_id)
            return self._keep(grant)

    def revoke(self, uid: bytes, at: int, request_id: bytes) -> Grant:
        """Let a grant hold no longer, for good; once more leaves the first time. NotFound when there is none.

        RequestReplayed when the request id was used for anything else.
        """
        with self._changing:
            grant = self._by_uid.get(uid)
            if grant is None:
                raise no_such_token()
            if grant.revoked_at is None:
                grant = replace(grant, revoked_at=at)
            # Once for each request id, with the first one's time: the store tells a repetition by its content.
            self._store.append_fact(REVOCATION, uid, json.dumps({"at": grant.revoked_at}).encode(), request_id)
            return self._keep(grant)

    def find(self, uid: bytes) -> Grant | None:
        """The grant of a uid."""
        return self._by_uid.get(uid)

    def stand(self, now: float) -> bool:
        """Whether there is a grant that holds now."""
        return any(_stands(grant, now) for grant in self._by_uid.values())

    def _standing(self, tenant: str, now: float) -> int:
        return sum(_stands(grant, now) and grant.caller.tenant == tenant for grant in self._by_uid.values())

    def _keep(self, grant: Grant) -> Grant:
        if grant.certificate and grant.uid not in self._by_uid:
            self._by_certificate.setdefault(grant.certificate, []).append(grant.uid)
        self._by_uid[grant.uid] = grant
        return grant


def _stands(grant: Grant, now: float) -> bool:
    return grant.revoked_at is None and now < grant.expires_at


def no_such_token() -> NotFound:
    """The same for a token that was never made and for one that is not the caller's to see."""
    return NotFound("no token has this uid; `unseen tokens list` shows those there are")


def _body_of(grant: Grant) -> bytes:
    caller = grant.caller
    content = {
        "format": FORMAT,
        "tenant": caller.tenant,
        "name": caller.name,
        "roles": sorted(caller.roles),
        "collections": None if caller.collections is None else sorted(caller.collections),
        "made_at": grant.made_at,
        "expires_at": grant.expires_at,
        "secret_hash": grant.secret_hash.hex(),
        "certificate": grant.certificate,
        "made_by": grant.made_by,
        "allowance": asdict(caller.allowance),
    }
    return json.dumps(content, sort_keys=True).encode()


def _grant_from(fact: Fact) -> Grant:
    content = _content(fact)
    if content.get("format") != FORMAT:
        raise IntegrityError("a token was written by a later release of Unseen; start that release")
    collections = content["collections"]
    try:
        roles, allowance = frozenset(Role(role) for role in content["roles"]), Allowance(**content["allowance"])
    except (TypeError, ValueError):
        raise IntegrityError(
            "a token names a role or a quota that this release does not know; start a later one"
        ) from None
    caller = Caller(
        content["tenant"], content["name"], roles, None if collections is None else frozenset(collections), allowance
    )
    return Grant(
        fact.key,
        caller,
        content["made_at"],
        content["expires_at"],
        bytes.fromhex(content["secret_hash"]),
        content["certificate"],
        content["made_by"],
    )


def _content(fact: Fact) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(fact.body)
    return content
