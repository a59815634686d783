"""The one table of who may do what: method -> roles that may call it -> what it reaches. Nothing else decides.

A method that is not here is refused, whoever calls: tests/server/access/test_matrix.py holds every method of every
service against it. docs/access.md shows this table and is held against it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from unseen.errors import NotPermitted
from unseen_server.call import Caller, Role


class Reach(StrEnum):
    """What a method touches, and so what is checked beside the role."""

    SERVER = "facts that hold for every caller"
    OWN = "what the server knows of the caller itself"
    TENANT = "the caller's tenant; of its collections those within the caller's scope"
    COLLECTION = "one collection, of the caller's tenant and within its scope"
    EVERYTHING = "all that the server keeps, of every tenant: for the tenant without a name, and all its collections"
    TOKENS = "tokens of the caller's tenant that may do no more than the caller's own"


@dataclass(frozen=True)
class Rule:
    """Who may call a method. Any one of the roles is enough."""

    roles: frozenset[Role]
    reach: Reach

    def require(self, caller: Caller) -> None:
        """NotPermitted unless the caller has one of the roles, and for everything may know all."""
        if not self.roles & caller.roles:
            wanted = " or ".join(sorted(self.roles))
            raise NotPermitted(f"this method is for the role {wanted}, which the caller's token does not give")
        if self.reach is Reach.EVERYTHING and not caller.may_know_all:
            raise NotPermitted(
                "this method reaches every tenant: it is for callers of the tenant without a name whose token is not "
                "limited to some collections"
            )


def _rule(reach: Reach, *roles: Role) -> Rule:
    return Rule(frozenset(roles), reach)


_GOVERNANCE = "/unseen.v1.GovernanceService/"
TABLE: dict[str, Rule] = {
    "/unseen.v1.InfoService/GetServerInfo": _rule(Reach.SERVER, *Role),
    "/unseen.v1.CollectionService/CreateCollection": _rule(Reach.COLLECTION, Role.CONTRIBUTOR),
    "/unseen.v1.CollectionService/GetCollection": _rule(Reach.COLLECTION, Role.READER, Role.CONTRIBUTOR, Role.STEWARD),
    "/unseen.v1.CollectionService/ListCollections": _rule(Reach.TENANT, Role.READER, Role.CONTRIBUTOR, Role.STEWARD),
    "/unseen.v1.CollectionService/DeleteCollection": _rule(Reach.COLLECTION, Role.CONTRIBUTOR),
    "/unseen.v1.CollectionService/ReplaceCollection": _rule(Reach.COLLECTION, Role.CONTRIBUTOR),
    "/unseen.v1.IndexService/EnrolRows": _rule(Reach.COLLECTION, Role.CONTRIBUTOR),
    "/unseen.v1.IndexService/EraseRows": _rule(Reach.COLLECTION, Role.CONTRIBUTOR, Role.STEWARD),
    "/unseen.v1.IndexService/SyncCatalogue": _rule(Reach.COLLECTION, Role.READER, Role.CONTRIBUTOR),
    "/unseen.v1.SearchService/Search": _rule(Reach.COLLECTION, Role.READER),
    "/unseen.v1.AccessService/GetAccess": _rule(Reach.OWN, *Role),
    "/unseen.v1.AccessService/CreateToken": _rule(Reach.TOKENS, Role.ADMIN),
    "/unseen.v1.AccessService/ListTokens": _rule(Reach.TOKENS, Role.ADMIN),
    "/unseen.v1.AccessService/RevokeToken": _rule(Reach.TOKENS, Role.ADMIN),
    "/unseen.v1.AuditService/GetTreeHead": _rule(Reach.TENANT, *Role),
    "/unseen.v1.AuditService/ProveInclusion": _rule(Reach.TENANT, *Role),
    "/unseen.v1.AuditService/ExportLeaves": _rule(Reach.TENANT, Role.AUDITOR),
    "/unseen.v1.OperatorService/GetStatus": _rule(Reach.SERVER, Role.OPERATOR),
    "/unseen.v1.OperatorService/CreateBackup": _rule(Reach.EVERYTHING, Role.OPERATOR),
    _GOVERNANCE + "SetPolicy": _rule(Reach.COLLECTION, Role.STEWARD),
    _GOVERNANCE + "GetPolicy": _rule(Reach.COLLECTION, Role.READER, Role.CONTRIBUTOR, Role.STEWARD, Role.AUDITOR),
    _GOVERNANCE + "AcceptPolicy": _rule(Reach.COLLECTION, Role.READER, Role.CONTRIBUTOR, Role.STEWARD),
    _GOVERNANCE + "GetPolicyHistory": _rule(
        Reach.COLLECTION, Role.READER, Role.CONTRIBUTOR, Role.STEWARD, Role.AUDITOR
    ),
    _GOVERNANCE + "RecordConsent": _rule(Reach.COLLECTION, Role.CONTRIBUTOR, Role.STEWARD),
    _GOVERNANCE + "WithdrawConsent": _rule(Reach.COLLECTION, Role.CONTRIBUTOR, Role.STEWARD),
    _GOVERNANCE + "ListConsents": _rule(Reach.COLLECTION, Role.CONTRIBUTOR, Role.STEWARD),
    _GOVERNANCE + "EraseSubject": _rule(Reach.COLLECTION, Role.STEWARD),
    _GOVERNANCE + "ExportSubject": _rule(Reach.COLLECTION, Role.STEWARD),
    _GOVERNANCE + "ListCertificates": _rule(Reach.COLLECTION, Role.CONTRIBUTOR, Role.STEWARD, Role.AUDITOR),
    _GOVERNANCE + "SetHold": _rule(Reach.COLLECTION, Role.STEWARD),
    _GOVERNANCE + "ListHolds": _rule(Reach.COLLECTION, Role.STEWARD, Role.AUDITOR),
    _GOVERNANCE + "BreakGlass": _rule(Reach.COLLECTION, Role.READER, Role.STEWARD),
    _GOVERNANCE + "ListBreakGlass": _rule(Reach.COLLECTION, Role.STEWARD, Role.AUDITOR),
}
"""By the path that goes over the wire."""


def rule_for(method: str) -> Rule:
    """The rule of a method; NotPermitted for one that nobody thought of."""
    try:
        return TABLE[method]
    except KeyError:
        raise NotPermitted("this method stands in no table of this server, so nobody may call it") from None


def markdown() -> str:
    """The table as docs/access.md shows it."""
    lines = ["| method | roles | reaches |", "| --- | --- | --- |"]
    for method, rule in TABLE.items():
        roles = "any" if rule.roles == frozenset(Role) else ", ".join(role for role in Role if role in rule.roles)
        lines.append(f"| {method.removeprefix('/unseen.v1.').replace('/', '.')} | {roles} | {rule.reach} |")
    return "\n".join(lines)
