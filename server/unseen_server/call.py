"""A call as a service sees it: which method, by whom. Made at the boundary, once, before any message is read.

The server holds it for the length of the call. Names of callers are theirs to choose; they are neither logged nor sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from unseen.audit.leaf import Details
from unseen.types import UID_BYTES


class Role(StrEnum):
    """What a caller may do; docs/access.md has the table of methods."""

    READER = "reader"
    """Searches and mirrors."""
    CONTRIBUTOR = "contributor"
    """Makes collections, enrols, erases what it names."""
    STEWARD = "steward"
    """Policies, consents, erasure by subject, holds."""
    OPERATOR = "operator"
    """Health, metrics: no data. In the tenant without a name backups too: every tenant's data, sealed."""
    AUDITOR = "auditor"
    """Reads the audit log."""
    ADMIN = "admin"
    """Hands out, lists and revokes tokens that may do no more than its own; touches no data."""


@dataclass(frozen=True)
class Allowance:
    """How much a caller may use; None for as much as the server gives to everybody. docs/access.md does the sums."""

    calls_at_once: int | None = None
    bytes_per_minute: int | None = None
    searches_per_minute: int | None = None
    bits_per_row_per_day: int | None = None
    """Bits that replies may carry about each row of one collection."""


@dataclass(frozen=True)
class Caller:
    """Who asks. One tenant sees nothing of another."""

    tenant: str
    name: str
    """Unique within the tenant: what the audit log and quotas know the caller by."""
    roles: frozenset[Role]
    collections: frozenset[str] | None = None
    """Names of the collections it may touch; None for every one of the tenant."""
    allowance: Allowance = Allowance()
    is_local: bool = False
    """Whether it is whoever works on the server's own machine, which no quota and no tenant holds back."""

    def may_touch(self, tenant: str, collection: str) -> bool:
        """Whether a collection of this name, if the tenant has one, is within reach."""
        return tenant == self.tenant and (self.collections is None or collection in self.collections)

    @property
    def may_know_all(self) -> bool:
        """Whether it may have what is of every tenant: only who runs the server, and is not limited to collections."""
        return not self.tenant and self.collections is None


LOCAL = Caller(tenant="", name="local", roles=frozenset(Role), is_local=True)
"""Who calls a server on loopback that asks for no token: everything is theirs, as the files are."""


def nothing() -> None:
    """Whom nobody waits for."""


class Notes:
    """What the services add to the leaf that the audit log will hold of a call."""

    def __init__(self) -> None:
        self.details = Details()
        self._tell: Callable[[], None] = nothing

    def add(self, details: Details) -> None:
        """Say more of the act; what was said before and is not said anew stays."""
        self.details = self.details.merged(details)

    def when_checked(self, tell: Callable[[], None]) -> None:
        """What to do when a service says that it has checked all it checks."""
        self._tell = tell

    def all_is_checked(self) -> None:
        """Only the work itself can still fail, or come too late: the leaf of this read may be written meanwhile."""
        self._tell()


@dataclass(frozen=True)
class Call:
    """What the boundary knows of a call and hands to the service."""

    method: str
    """As in the contract, without its service: ``EnrolRows``."""
    caller: Caller
    notes: Notes = field(default_factory=Notes, compare=False)

    def own_request_id(self, request_id: bytes) -> bytes:
        """A request id as the store knows it: two tenants may draw the same one and never notice.

        The first tenant, which has no name, keeps its ids as they are; others' are SHA-256 of tenant and id, cut to 16.
        """
        return own_request_id(self.caller.tenant, request_id)


def own_request_id(tenant: str, request_id: bytes) -> bytes:
    """As ``Call.own_request_id``, for a tenant."""
    if not tenant:
        return request_id
    return hashlib.sha256(b"unseen request\0" + tenant.encode() + b"\0" + request_id).digest()[:UID_BYTES]
