"""The engine finds, makes and deletes collections, and rebuilds all of them from the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from unseen import params
from unseen.entropy import random_uid
from unseen.errors import (
    CollectionExists,
    CollectionNotFound,
    LimitExceeded,
    ModelMismatch,
    ParameterMismatch,
    RequestReplayed,
)
from unseen.he.mask import MaskSource
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import SqliteStore
from unseen.types import CollectionInfo
from unseen_server import limits
from unseen_server.engine import Engine, require_model, require_parameters

PARAMETERS = params.DEFAULT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path, bytes(32))
    yield store
    store.close()


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    engine = Engine(store, MaskSource, threads=1)
    engine.load()
    yield engine
    engine.close()


def create(engine: Engine, name: str = "photos", request_id: bytes | None = None) -> CollectionInfo:
    return engine.create(request_id or random_uid(), name, 16, PARAMETERS.id, "none")


def test_collection_is_found_by_name_and_by_uid_and_listed_in_order(engine: Engine) -> None:
    made = [create(engine, name) for name in ("b", "a")]
    assert engine.collections() == [made[1], made[0]]
    assert engine.by_name("b") == made[0]
    assert engine.by_uid(made[1].uid).info == made[1]
    for missing in (lambda: engine.by_name("c"), lambda: engine.by_uid(random_uid())):
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
    engine.delete(delete_id, made.uid)
    engine.delete(delete_id, made.uid)
    assert engine.collections() == []
    with pytest.raises(RequestReplayed):
        create(engine, request_id=create_id)
    with pytest.raises(RequestReplayed):
        engine.for_mutation(made.uid, create_id)
    with pytest.raises(CollectionNotFound):
        engine.for_mutation(made.uid, random_uid())
    with pytest.raises(CollectionNotFound):
        engine.delete(random_uid(), made.uid)


def test_engine_is_rebuilt_from_the_store_alone(store: Store, engine: Engine) -> None:
    made = [create(engine, name) for name in ("a", "b")]
    engine.delete(random_uid(), made[0].uid)
    another = Engine(store, MaskSource, threads=1)
    another.load()
    assert another.collections() == [made[1]]
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
