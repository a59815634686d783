"""The engine finds, makes and deletes collections, and rebuilds all of them from the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.key_rings import rings_beside
from unseen import params
from unseen.entropy import random_uid
from unseen.errors import (
    BlockChanged,
    CollectionExists,
    CollectionNotFound,
    InvalidInput,
    LimitExceeded,
    ModelMismatch,
    NotPermitted,
    ParameterMismatch,
    RequestReplayed,
)
from unseen.he.mask import MaskSource
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import CollectionInfo
from unseen_server import limits
from unseen_server.call import LOCAL, Call, Caller, Role
from unseen_server.engine import Engine, require_model, require_parameters

PARAMETERS = params.DEFAULT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    yield store
    store.close()


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    engine = Engine(store, MaskSource, threads=1)
    engine.load()
    yield engine
    engine.close()


def create(
    engine: Engine, name: str = "photos", request_id: bytes | None = None, caller: Caller = LOCAL
) -> CollectionInfo:
    return engine.create(caller, request_id or random_uid(), name, 16, PARAMETERS.id, "none")


def test_collection_is_found_by_name_and_by_uid_and_listed_in_order(engine: Engine) -> None:
    made = [create(engine, name) for name in ("b", "a")]
    assert engine.collections(LOCAL) == [made[1], made[0]]
    assert engine.by_name(LOCAL, "b") == made[0]
    assert engine.by_uid(LOCAL, made[1].uid).info == made[1]
    for missing in (lambda: engine.by_name(LOCAL, "c"), lambda: engine.by_uid(LOCAL, random_uid())):
        with pytest.raises(CollectionNotFound):
            missing()


def test_repeated_create_gives_the_collection_as_it_stands_now(engine: Engine) -> None:
    request_id = random_uid()
    made = create(engine, request_id=request_id)
    assert create(engine, request_id=request_id) == made
    with pytest.raises(CollectionExists):
        create(engine)


def test_deleted_collection_is_gone_and_its_requests_are_replays(engine: Engine) -> None:
    create_id, delete_id = random_uid(), random_uid()
    made = create(engine, request_id=create_id)
    engine.delete(LOCAL, delete_id, made.uid)
    engine.delete(LOCAL, delete_id, made.uid)
    assert engine.collections(LOCAL) == []
    with pytest.raises(RequestReplayed):
        create(engine, request_id=create_id)
    with pytest.raises(RequestReplayed):
        engine.for_mutation(LOCAL, made.uid, create_id)
    with pytest.raises(CollectionNotFound):
        engine.for_mutation(LOCAL, made.uid, random_uid())
    with pytest.raises(CollectionNotFound):
        engine.delete(LOCAL, random_uid(), made.uid)


def test_engine_is_rebuilt_from_the_store_alone(store: Store, engine: Engine) -> None:
    made = [create(engine, name) for name in ("a", "b")]
    engine.delete(LOCAL, random_uid(), made[0].uid)
    another = Engine(store, MaskSource, threads=1)
    another.load()
    assert another.collections(LOCAL) == [made[1]]
    another.close()


def test_store_with_an_unknown_parameter_set_is_refused(store: Store) -> None:
    store.create(random_uid(), NewCollection("photos", 16, "f" * 16, "none", 16))
    with pytest.raises(ParameterMismatch):
        Engine(store, MaskSource, threads=1).load()


def test_collections_are_limited(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COLLECTIONS", 1)
    create(engine, "first")
    with pytest.raises(LimitExceeded):
        create(engine, "second")


def test_messages_for_another_parameter_set_or_model_are_refused(engine: Engine) -> None:
    info = create(engine)
    require_parameters(info, PARAMETERS.id)
    require_model(info, "none")
    with pytest.raises(ParameterMismatch):
        require_parameters(info, params.N2048_Q29_FINE.id)
    with pytest.raises(ModelMismatch):
        require_model(info, "bundled")


# Tenants

ALICE = Caller("ward", "alice", frozenset(Role))
BOB = Caller("lab", "bob", frozenset(Role))
SCOPED = Caller("ward", "scoped", frozenset(Role), frozenset({"scans"}))


def test_tenants_share_names_and_see_nothing_of_each_other(engine: Engine) -> None:
    ours, theirs = create(engine, caller=ALICE), create(engine, caller=BOB)
    assert ours.uid != theirs.uid
    assert engine.collections(ALICE) == [ours]
    assert engine.by_name(BOB, "photos") == theirs
    assert engine.collections(LOCAL) == []


@pytest.mark.parametrize("caller", [BOB, SCOPED, LOCAL], ids=["another tenant", "another scope", "the first tenant"])
def test_collection_of_another_is_answered_as_one_that_is_not_there(engine: Engine, caller: Caller) -> None:
    foreign, absent = create(engine, caller=ALICE).uid, random_uid()
    for ask in (
        lambda uid: engine.by_uid(caller, uid),
        lambda uid: engine.for_mutation(caller, uid, random_uid()),
        lambda uid: engine.delete(caller, random_uid(), uid),
    ):
        messages = []
        for uid in (foreign, absent):
            with pytest.raises(CollectionNotFound) as refused:
                ask(uid)
            messages.append(str(refused.value).replace(uid.hex(), "UID"))
        assert messages[0] == messages[1]
    assert engine.by_uid(ALICE, foreign).info.uid == foreign
    with pytest.raises(CollectionNotFound):
        engine.by_name(caller, "photos")


def test_scope_is_a_list_of_names(engine: Engine) -> None:
    create(engine, caller=ALICE)
    scans = create(engine, "scans", caller=SCOPED)
    assert engine.collections(SCOPED) == [scans]
    assert len(engine.collections(ALICE)) == 2
    for name in ("photos", "absent"):
        with pytest.raises(NotPermitted):
            create(engine, name, caller=SCOPED)


def test_limit_of_collections_is_each_tenants_own(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COLLECTIONS", 1)
    create(engine, caller=ALICE)
    create(engine, caller=BOB)
    with pytest.raises(LimitExceeded):
        create(engine, "second", caller=BOB)


def test_tenants_may_draw_the_same_request_id(engine: Engine) -> None:
    request_id = random_uid()
    own = {caller.tenant: Call("CreateCollection", caller).own_request_id(request_id) for caller in (LOCAL, ALICE, BOB)}
    assert own[""] == request_id
    assert len(set(own.values())) == 3
    assert {len(one) for one in own.values()} == {16}
    made = {caller.name: create(engine, "photos", own[caller.tenant], caller) for caller in (LOCAL, ALICE, BOB)}
    assert len({info.uid for info in made.values()}) == 3
    assert create(engine, "photos", own["lab"], BOB) == made["bob"]


def test_deletion_is_repeated_for_its_tenant_only(engine: Engine) -> None:
    request_id, made = random_uid(), create(engine, caller=ALICE)
    engine.delete(ALICE, request_id, made.uid)
    engine.delete(ALICE, request_id, made.uid)
    with pytest.raises(CollectionNotFound):
        engine.delete(BOB, Call("DeleteCollection", BOB).own_request_id(request_id), made.uid)
    assert create(engine, caller=ALICE).uid != made.uid


def test_a_collection_takes_the_place_of_its_own_tenants_and_of_no_other(engine: Engine) -> None:
    """Who names another tenant's collection is told what is told of one that is not there, and destroys nothing."""
    for caller in (ALICE, BOB):
        for name in ("secret", "secret.rotating"):
            engine.create(caller, random_uid(), name, 16, params.OWNER_DEFAULT.id, "none")
    own = {name: engine.by_name(ALICE, name).uid for name in ("secret", "secret.rotating")}
    theirs = engine.by_name(BOB, "secret").uid
    with pytest.raises(CollectionNotFound):
        engine.replace(ALICE, random_uid(), theirs, own["secret"], 0, "secret")
    with pytest.raises(CollectionExists):  # as for a uid that nobody has
        engine.replace(ALICE, random_uid(), own["secret.rotating"], theirs, 0, "secret")
    with pytest.raises(BlockChanged):
        engine.replace(ALICE, random_uid(), own["secret.rotating"], own["secret"], 1, "secret")
    with pytest.raises(InvalidInput, match="owner-encrypted"):
        engine.replace(ALICE, random_uid(), create(engine, caller=ALICE).uid, own["secret"], 0, "secret")
    request_id = random_uid()
    for _ in range(2):
        info = engine.replace(ALICE, request_id, own["secret.rotating"], own["secret"], 0, "secret")
        assert (info.name, info.uid) == ("secret", own["secret.rotating"])
        assert engine.by_name(ALICE, "secret") == info
    assert not engine.holds(ALICE, own["secret"])
    with pytest.raises(CollectionNotFound):
        engine.by_name(ALICE, "secret.rotating")
    assert {info.name for info in engine.collections(BOB)} == {"secret", "secret.rotating"}
