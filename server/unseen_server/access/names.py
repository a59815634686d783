"""What tenants, callers and scopes may be called; roles by their names. InvalidInput says what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable

from unseen.errors import InvalidInput
from unseen_server import limits
from unseen_server.call import Role

_PLAIN = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{limits.MAX_NAME_LENGTH - 1}}}")
_CALLER = re.compile(rf"[!-~]([ -~]{{0,{limits.MAX_CALLER_NAME_LENGTH - 2}}}[!-~])?")


def require_tenant(tenant: str) -> str:
    """Pass a tenant through: empty for the first one, which has no name, or written as collections are."""
    if tenant and not _PLAIN.fullmatch(tenant):
        raise InvalidInput(
            f"the tenant is not 1 to {limits.MAX_NAME_LENGTH} of a-z, 0-9, '-', '_' and '.', first a letter or digit"
        )
    return tenant


def require_name(name: str) -> str:
    """Pass a caller's name through."""
    if not _CALLER.fullmatch(name):
        raise InvalidInput(
            f"the caller's name is not 1 to {limits.MAX_CALLER_NAME_LENGTH} printable ASCII characters, with no "
            "space at an end"
        )
    return name


def require_roles(roles: Iterable[str]) -> frozenset[Role]:
    """The roles of these names, at least one."""
    found = list(roles)
    try:
        named = frozenset(Role(role) for role in found)
    except ValueError:
        raise InvalidInput(f"a role that was named is not one of {', '.join(Role)}") from None
    if not named:
        raise InvalidInput(f"there is no role; give at least one of {', '.join(Role)}")
    return named


def require_collections(names: Iterable[str]) -> frozenset[str]:
    """Names of collections, at least one and not too many: they need not exist yet."""
    found = frozenset(names)
    if not 1 <= len(found) <= limits.MAX_COLLECTIONS_PER_TOKEN or not all(map(_PLAIN.fullmatch, found)):
        raise InvalidInput(
            f"the scope is not 1 to {limits.MAX_COLLECTIONS_PER_TOKEN} names of collections; leave it out for all"
        )
    return found
