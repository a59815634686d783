"""Every role, every method, the caller's own tenant and another one: a real server answers what two tables say.

One table is the server's own (``unseen_server.access.table``), the other was written by hand (``matrix.txt``): a change
of one that the other does not follow fails here, and so does a server that follows neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.governance.written import SUBJECT
from tests.server.governance.steward import Steward
from unseen.bearer import BearerToken, draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen.governance.consent import Consent
from unseen.governance.policy import Policy
from unseen.params import OWNER_DEFAULT
from unseen.v1 import types_pb2
from unseen_server.access.table import TABLE
from unseen_server.call import Caller, Role

Make = Callable[..., Any]
Rows = Callable[..., tuple[Any, Any]]
ROLES = tuple(Role)
HERE, THERE = "here", "there"


@dataclass(frozen=True)
class Agreement:
    """A collection's agreement and a consent to it, as its owner set them."""

    uid: bytes
    policy: Policy
    consent: Consent

    def as_seen_by(self, caller: Any) -> Steward:
        """Somebody who acts on the collection."""
        return Steward(caller, self.uid, self.policy)


@dataclass
class Target:
    """What a call is aimed at."""

    tenant: str
    collection: types_pb2.CollectionInfo
    token_uid: bytes
    row_id: bytes
    make_rows: Rows
    agreement: Agreement
    """Of another collection, ``agreement.uid``, which has one."""
    encrypted: Callable[[], bytes]
    """Makes an owner-encrypted collection there, and gives its uid."""


CALLS: dict[str, Callable[[Any, Target], Any]] = {
    "InfoService/GetServerInfo": lambda caller, _: caller.info(),
    "AccessService/GetAccess": lambda caller, _: caller.access(),
    "AccessService/CreateToken": lambda caller, target: caller.create_token(tenant=target.tenant),
    "AccessService/ListTokens": lambda caller, _: caller.tokens(),
    "AccessService/RevokeToken": lambda caller, target: caller.revoke(target.token_uid),
    "CollectionService/CreateCollection": lambda caller, target: caller.create(random_uid().hex()),
    "CollectionService/GetCollection": lambda caller, target: caller.collection(target.collection.name),
    "CollectionService/ListCollections": lambda caller, _: caller.collections(),
    "CollectionService/DeleteCollection": lambda caller, target: caller.delete(target.collection.uid),
    "CollectionService/ReplaceCollection": lambda caller, target: caller.replace(target.encrypted()),
    "IndexService/EnrolRows": lambda caller, target: caller.enrol(target.collection.uid, target.make_rows(2)[1]),
    "IndexService/EraseRows": lambda caller, target: caller.erase(target.collection.uid, [target.row_id]),
    "IndexService/SyncCatalogue": lambda caller, target: caller.sync(target.collection.uid),
    "SearchService/Search": lambda caller, target: caller.search(target.collection, np.ones(16, np.float32)),
    "AuditService/GetTreeHead": lambda caller, _: caller.tree_head(),
    "AuditService/ProveInclusion": lambda caller, _: caller.proof_of_leaf(0),
    "AuditService/ExportLeaves": lambda caller, _: caller.exported_leaves(),
    "OperatorService/GetStatus": lambda caller, _: caller.status(),
    "OperatorService/CreateBackup": lambda caller, _: caller.backup(),
    "GovernanceService/SetPolicy": lambda caller, target: target.agreement.as_seen_by(caller).set_policy(),
    "GovernanceService/GetPolicy": lambda caller, target: target.agreement.as_seen_by(caller).shown(),
    "GovernanceService/AcceptPolicy": lambda caller, target: target.agreement.as_seen_by(caller).accept(),
    "GovernanceService/GetPolicyHistory": lambda caller, target: target.agreement.as_seen_by(caller).history(),
    "GovernanceService/RecordConsent": lambda caller, target: target.agreement.as_seen_by(caller).consent(
        event_time=int(time.time())
    ),
    "GovernanceService/WithdrawConsent": lambda caller, target: target.agreement.as_seen_by(caller).withdraw(
        target.agreement.consent.record_id
    ),
    "GovernanceService/ListConsents": lambda caller, target: target.agreement.as_seen_by(caller).states(),
    "GovernanceService/EraseSubject": lambda caller, target: target.agreement.as_seen_by(caller).erase_subject(SUBJECT),
    "GovernanceService/ExportSubject": lambda caller, target: target.agreement.as_seen_by(caller).export(SUBJECT),
    "GovernanceService/ListCertificates": lambda caller, target: target.agreement.as_seen_by(caller).certificates(),
    "GovernanceService/SetHold": lambda caller, target: target.agreement.as_seen_by(caller).hold("CASE-1"),
    "GovernanceService/ListHolds": lambda caller, target: target.agreement.as_seen_by(caller).holds(),
    "GovernanceService/BreakGlass": lambda caller, target: target.agreement.as_seen_by(caller).break_glass(),
    "GovernanceService/ListBreakGlass": lambda caller, target: target.agreement.as_seen_by(caller).emergencies(),
}
"""A well-formed call of every method, by a caller, of a target."""


def by_hand() -> dict[str, tuple[dict[Role, str], str]]:
    """The table of ``matrix.txt``: for each method what each role may, and what strangers are told."""
    lines = (Path(__file__).with_name("matrix.txt")).read_text().splitlines()
    header, *rows = [line.split() for line in lines if line and not line.startswith("#")]
    assert header == ["method", *ROLES, "another-tenant"]
    return {row[0]: (dict(zip(ROLES, row[1:-1], strict=True)), row[-1]) for row in rows}


def test_the_servers_table_is_the_one_written_by_hand() -> None:
    table = {path.removeprefix("/unseen.v1."): rule.roles for path, rule in TABLE.items()}
    assert table == {
        method: frozenset(role for role, may in roles.items() if may != "-") for method, (roles, _) in by_hand().items()
    }
    assert set(CALLS) == set(table)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, write_grants: Make, new_server: Make) -> Iterator[Any]:
    """A server with two tenants: a token for every role in each, and one with all of them."""
    folder = tmp_path_factory.mktemp("matrix")
    callers: dict[Any, Caller] = {
        (tenant, role): Caller(tenant, role, frozenset({role})) for tenant in (HERE, THERE) for role in ROLES
    }
    callers |= {(tenant, "all"): Caller(tenant, "all", frozenset(Role)) for tenant in (HERE, THERE)}
    texts = write_grants(folder, callers)
    server = new_server(folder).start()
    yield server, texts
    assert server.stop() == 0, server.log()


def a_target(world: Any, call: Make, tenant: str, make_rows: Rows) -> Target:
    """A collection with rows and a token, made for one call."""
    server, texts = world
    owner = call(server, token=texts[tenant, "all"])
    collection = owner.create(random_uid().hex())
    _, batch = make_rows(3)
    owner.enrol(collection.uid, batch)
    collection = owner.collection(collection.name)
    token_uid = owner.create_token(tenant=tenant)
    return Target(
        tenant,
        collection,
        token_uid,
        batch.row_ids[0],
        make_rows,
        an_agreement(owner),
        lambda: owner.create(random_uid().hex(), parameter_id=OWNER_DEFAULT.id).uid,
    )


def an_agreement(owner: Any) -> Agreement:
    """A collection with an agreement and a consent."""
    steward = Steward(owner, owner.create(random_uid().hex()).uid)
    steward.set_policy()
    given = steward.consent(event_time=int(time.time()))
    assert steward.policy is not None
    return Agreement(steward.uid, steward.policy, given)


@pytest.mark.parametrize("method", sorted(CALLS))
def test_every_role_is_answered_as_both_tables_say(world: Any, call: Make, make_rows: Rows, method: str) -> None:
    server, texts = world
    may, strangers_are_told = by_hand()[method]
    for role in ROLES:
        caller = call(server, token=texts[HERE, role])
        told = {
            tenant: caller.refusal_if_any(CALLS[method], caller, a_target(world, call, tenant, make_rows))
            for tenant in (HERE, THERE)
        }
        codes = {tenant: "ANSWERED" if refusal is None else refusal.code for tenant, refusal in told.items()}
        expected = ("ANSWERED", strangers_are_told) if may[role] == "yes" else ("NOT_PERMITTED", "NOT_PERMITTED")
        assert (codes[HERE], codes[THERE]) == expected, (role, told)
        for refusal in filter(None, told.values()):
            if refusal.code == "NOT_PERMITTED":
                assert refusal.status == "PERMISSION_DENIED"
    print(f"{method}: {len(ROLES)} roles in two tenants, all as the table says")


def test_what_reaches_every_tenant_is_answered_in_the_one_without_a_name_alone(
    tmp_path: Path, write_grants: Make, new_server: Make, call: Make, make_rows: Rows
) -> None:
    everything = [method for method, (roles, _) in by_hand().items() if "all" in roles.values()]
    callers: dict[str, Caller] = {role: Caller("", role, frozenset({role})) for role in ROLES}
    callers["scoped"] = Caller("", "scoped", frozenset(Role), frozenset({"photos"}))
    texts = write_grants(tmp_path, callers)
    server = new_server(tmp_path).start()
    for method in everything:
        for role in ROLES:
            caller = call(server, token=texts[role])
            refusal = caller.refusal_if_any(CALLS[method], caller, None)
            assert (refusal is None) == (by_hand()[method][0][role] == "all"), (method, role, refusal)
        scoped = call(server, token=texts["scoped"])
        assert scoped.refusal(CALLS[method], scoped, None).code == "NOT_PERMITTED", method
    assert server.stop() == 0


@pytest.mark.parametrize("method", sorted(CALLS))
def test_nobody_is_answered_without_a_token(world: Any, call: Make, make_rows: Rows, method: str) -> None:
    caller = call(world[0])
    refusal = caller.refusal(CALLS[method], caller, a_target(world, call, HERE, make_rows))
    assert (refusal.status, refusal.code) == ("UNAUTHENTICATED", "NOT_AUTHENTICATED")


NAMES_SOMETHING = {
    "CollectionService/GetCollection": "name",
    "CollectionService/DeleteCollection": "uid",
    "CollectionService/ReplaceCollection": "uid",
    "IndexService/EnrolRows": "uid",
    "IndexService/EraseRows": "uid",
    "IndexService/SyncCatalogue": "uid",
    "SearchService/Search": "uid",
    "AccessService/RevokeToken": "token",
    **{method: "uid" for method in CALLS if method.startswith("GovernanceService/")},
}
"""Methods that name a thing, and how."""


@pytest.mark.parametrize("method", sorted(NAMES_SOMETHING))
def test_what_is_anothers_is_answered_as_what_is_not_there(
    world: Any, call: Make, make_rows: Rows, method: str
) -> None:
    """The same status, code and words, but for the uid that the caller itself named."""
    server, texts = world
    caller = call(server, token=texts[HERE, "all"])
    theirs = a_target(world, call, THERE, make_rows)
    agreement = replace(theirs.agreement, uid=random_uid())
    absent = Target(THERE, types_pb2.CollectionInfo(), random_uid(), theirs.row_id, make_rows, agreement, random_uid)
    absent.collection.CopyFrom(theirs.collection)
    absent.collection.uid, absent.collection.name = random_uid(), random_uid().hex()
    told = []
    for target in (theirs, absent):
        refusal = caller.refusal(CALLS[method], caller, target)
        message = refusal.message
        for uid in (target.collection.uid, target.agreement.uid):
            message = message.replace(uid.hex(), "UID")
        told.append((refusal.status, refusal.code, message))
    assert told[0] == told[1]


def test_listings_hold_what_is_the_callers_own_and_nothing_else(world: Any, call: Make, make_rows: Rows) -> None:
    server, texts = world
    seen: dict[str, tuple[set[bytes], set[bytes]]] = {}
    for tenant in (HERE, THERE):
        target = a_target(world, call, tenant, make_rows)
        caller = call(server, token=texts[tenant, "all"])
        collections = {info.uid for info in caller.collections()}
        tokens = caller.tokens()
        assert target.collection.uid in collections
        assert {token.access.tenant for token in tokens} == {tenant}
        seen[tenant] = collections, {token.uid for token in tokens}
    assert seen[HERE][0] & seen[THERE][0] == set()
    assert seen[HERE][1] & seen[THERE][1] == set()


def test_request_id_of_another_tenant_is_as_unknown_as_any(world: Any, call: Make, make_rows: Rows) -> None:
    """Both tenants carry out their own request under the same id, and both may repeat theirs."""
    server, texts = world
    request_id, uids = random_uid(), set()
    for tenant in (HERE, THERE):
        caller = call(server, token=texts[tenant, "all"])
        made = caller.create("same-id", request_id=request_id)
        assert caller.create("same-id", request_id=request_id).uid == made.uid
        uids.add(made.uid)
    assert len(uids) == 2
    here, there = (call(server, token=texts[tenant, "all"]) for tenant in (HERE, THERE))
    gone = a_target(world, call, HERE, make_rows)
    delete_id = random_uid()
    here.delete(gone.collection.uid, delete_id)
    here.delete(gone.collection.uid, delete_id)
    assert there.refusal(there.delete, gone.collection.uid, delete_id).code == "COLLECTION_NOT_FOUND"


def test_scope_of_a_token_holds_within_its_tenant(world: Any, call: Make, make_rows: Rows) -> None:
    server, texts = world
    inside, outside = (a_target(world, call, HERE, make_rows) for _ in range(2))
    owner = call(server, token=texts[HERE, "all"])
    secret = draw_secret()
    uid = owner.create_token(
        tenant=HERE, roles=list(Role), collections=[inside.collection.name], secret_hash=secret_hash(secret)
    )
    scoped = call(server, token=BearerToken(uid, secret).text())
    assert [info.name for info in scoped.collections()] == [inside.collection.name]
    for method, naming in NAMES_SOMETHING.items():
        if naming != "token":
            assert scoped.refusal(CALLS[method], scoped, outside).code == "COLLECTION_NOT_FOUND", method
    assert scoped.refusal(scoped.create, "elsewhere").code == "NOT_PERMITTED"
    assert scoped.sync(inside.collection.uid)[0] == 1
    assert scoped.refusal(scoped.create_token, tenant=HERE, roles=["reader"]).code == "NOT_PERMITTED"
    own = scoped.create_token(tenant=HERE, roles=["reader"], collections=[inside.collection.name])
    assert own in {token.uid for token in scoped.tokens()} < {token.uid for token in owner.tokens()}
    assert list(scoped.access().access.collections) == [inside.collection.name]
