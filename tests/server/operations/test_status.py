"""The status: numbers that are right, all of them for who runs the server, a tenant's own alone for its operator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.identities import issue
from unseen.audit.leaf import leaf_fields
from unseen_server.call import Caller, Role
from unseen_server.operations.certificate import expires_s

Make = Callable[..., Any]


def person(tenant: str, name: str, *roles: Role) -> Caller:
    return Caller(tenant, name, frozenset(roles))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, write_grants: Make, new_server: Make) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("status")
    texts = write_grants(
        folder,
        {
            "root": person("", "root", *Role),
            "cardiology": person("cardiology", "curie", *Role),
            "reader": person("cardiology", "reader", Role.READER),
        },
    )
    server = new_server(folder).start()
    yield server, texts
    assert server.stop() == 0, server.log()


def test_status_adds_up_and_tells_a_tenant_of_itself_alone(world: Any, call: Make, make_rows: Make) -> None:
    server, texts = world
    root, curie = (call(server, token=texts[name]) for name in ("root", "cardiology"))
    for caller, rows in ((root, 5), (curie, 3)):
        made = caller.create("photos")
        caller.enrol(made.uid, make_rows(rows)[1])
    collection = root.collection()
    root.search(collection, make_rows(1)[0][0])
    whole, own = root.status(), curie.status()
    assert (whole.store.rows, whole.store.collections) == (8, 2)
    assert (own.store.rows, own.store.collections) == (3, 1)
    assert (whole.store.kind, whole.store.key_provider, whole.serving) == ("sqlite", "file", True)
    assert whole.traffic.searches == 1
    assert whole.traffic.calls >= 6
    assert whole.memory.index_bytes > 0
    assert whole.memory.resident_bytes > 50_000_000
    assert whole.store.disk_bytes > whole.store.disk_free_bytes > 0
    assert not own.HasField("memory")
    assert not own.HasField("traffic")
    assert not own.HasField("certificate")
    assert own.audit.leaves < whole.audit.leaves
    assert int(own.audit.head.split("\n")[1]) == own.audit.leaves
    assert set(whole.component_versions) >= {"grpcio", "numpy", "cryptography"}


def test_who_tries_what_its_role_does_not_give_is_named_in_its_tenants_log(world: Any, call: Make) -> None:
    server, texts = world
    reader, curie = (call(server, token=texts[name]) for name in ("reader", "cardiology"))
    assert reader.refusal(reader.status).code == "NOT_PERMITTED"
    assert ("GetStatus", "reader", "NOT_PERMITTED") in acts_of(curie)


def test_who_shows_no_right_token_is_in_the_servers_own_log(world: Any, call: Make) -> None:
    server, texts = world
    stranger, root = call(server, token="unseen_nothing"), call(server, token=texts["root"])
    refusal = stranger.refusal(stranger.status)
    assert ("GetStatus", "unauthenticated", refusal.code) in acts_of(root)


def acts_of(auditor: Any) -> set[tuple[object, ...]]:
    """What the log holds. The leaf of a refusal is not waited for, but the first export's stands behind it."""
    auditor.exported_leaves()
    leaves = [leaf_fields(leaf) for leaf in auditor.exported_leaves()]
    return {(leaf["act"], leaf["who"], leaf["outcome"]) for leaf in leaves}


def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Any) -> None:
    (tmp_path / "one.pem").write_bytes(issue("server").certificate_pem)
    expires = expires_s(tmp_path / "one.pem")
    assert expires is not None
    assert 0 < expires - time.time() < 2 * 86400
    (tmp_path / "two.pem").write_text("no certificate")
    assert [expires_s(path) for path in (None, tmp_path / "two.pem", tmp_path / "three.pem")] == [None, None, None]
