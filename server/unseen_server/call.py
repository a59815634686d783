"""A call as a service sees it: which method, by whom. Made at the boundary, once, before any message is read.

The server holds it for the length of the call. Names of callers are theirs to choose; they are neither logged nor sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do; docs/operations.md has the table of methods."""

    READER = "reader"
    """Searches and mirrors."""
    CONTRIBUTOR = "contributor"
    """Makes collections, enrols, erases what it names."""
    STEWARD = "steward"
    """Policies, consents, erasure by subject, holds."""
    OPERATOR = "operator"
    """Health, metrics, backup: no data."""
    AUDITOR = "auditor"
    """Reads the audit log."""


@dataclass(frozen=True)
class Caller:
    """Who asks. One tenant sees nothing of another."""

    tenant: str
    name: str
    """Unique within the tenant: what the audit log and quotas know the caller by."""
    roles: frozenset[Role]
    collections: frozenset[str] | None = None
    """Names of the collections it may touch; None for every one of the tenant."""


LOCAL = Caller(tenant="", name="local", roles=frozenset(Role))
"""Who calls a server on loopback that asks for no token: everything is theirs, as the files are."""


@dataclass(frozen=True)
class Call:
    """What the boundary knows of a call and hands to the service."""

    method: str
    """As in the contract, without its service: ``EnrolRows``."""
    caller: Caller
