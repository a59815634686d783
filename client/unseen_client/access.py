"""What a server says of who may do what: this client's own access, and tokens without their secrets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quota:
    """How much a caller may use; None for no limit, or, of a token, for as much as the server gives to everybody."""

    calls_at_once: int | None = None
    bytes_per_minute: int | None = None
    searches_per_minute: int | None = None
    bits_per_row_per_day: int | None = None
    """Bits that scores may carry about each row of one collection: docs/access.md does the sums."""


@dataclass(frozen=True)
class Access:
    """Who this client is to the server, and what it may do there."""

    tenant: str
    name: str
    roles: tuple[str, ...]
    collections: tuple[str, ...] | None
    """Names of the collections within reach; None for every one of the tenant."""
    quota: Quota
    bits_per_row_left: int | None = None
    """Bits about each row of the collection asked for that may still leave now; None: no limit, or not asked for."""


@dataclass(frozen=True)
class TokenInfo:
    """A token as its server keeps it: nothing that lets somebody use it."""

    uid: str
    """32 hex digits."""
    tenant: str
    name: str
    roles: tuple[str, ...]
    collections: tuple[str, ...] | None
    quota: Quota
    made_at: int
    """Seconds since 1970, as all times here."""
    expires_at: int
    revoked_at: int | None
    made_by: str
    certificate: str
    """The common name of the client certificate that it stands for; empty for a token with a secret."""

    def stands(self, now: float) -> bool:
        """Whether it holds now."""
        return self.revoked_at is None and now < self.expires_at
