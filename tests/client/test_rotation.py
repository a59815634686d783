"""New keys for an owner-encrypted collection, on a real server: whatever stops it, no row is lost and none is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.client.real_server import surroundings
from unseen.errors import CollectionNotFound, IntegrityError, InvalidInput, KeyMissing, SealBroken, UnseenError
from unseen_client import AsyncClient, Client, OnlyKeyHere, Record
from unseen_client.dicom.crosswalk import WayBack
from unseen_client.flows import rotate
from unseen_client.keys.keystore import KeyStore
from unseen_client.keys.rotations import Rotations
from unseen_client.records import open_record, row_id

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION = 64
CRASHES = Path(__file__).with_name("crashing_rotation.py")
POINTS = ("carrying", "carried", "replaced", "destroyed")


def fill(client, name, vectors):
    client.create_collection(name, dimension=DIMENSION, protection="owner")
    records = [Record(caption=f"picture {at}", tags=("a", "b")) for at in range(len(vectors))]
    client.enrol_vectors(name, [str(at) for at in range(len(vectors))], vectors, records=records)


def right(client, name, vectors, gone=()):
    """Every row is there with its record and its score, and no other."""
    assert {record.id for record in client.list(name)} == {str(at) for at in range(len(vectors)) if at not in gone}
    for at in {0, 1, len(vectors) - 1} - set(gone):
        hit = client.search_vector(name, vectors[at], top_k=1)[0]
        assert (hit.id, hit.record.caption) == (str(at), f"picture {at}")
        assert hit.score == pytest.approx(1.0, abs=0.01)
    return True


def keys_of(home):
    return {key.collection_uid: key for key in KeyStore(home).all()}


def names(client):
    return [one.name for one in client.list_collections()]


def killed_at(point, server, home, name):
    """Have a rotation begun, and killed there."""
    command = [sys.executable, str(CRASHES), server.address, str(home), name, point]
    assert subprocess.run(command, env=surroundings(), timeout=120, check=False).returncode == -signal.SIGKILL


def test_after_a_rotation_the_old_keys_open_nothing_that_the_server_has(own_server, home, tmp_path, unit_vectors):
    server, vectors = own_server(), unit_vectors(300, DIMENSION)
    with Client(server.address, home=home) as client, Client(server.address, home=tmp_path / "revoked") as revoked:
        fill(client, "secret", vectors)
        (old,) = keys_of(home).values()
        KeyStore(tmp_path / "revoked").put(old)
        assert right(revoked, "secret", vectors)
        shown = []
        assert client.rotate_keys("secret", progress=lambda step: shown.append((step.done, step.total))) == 300
        assert shown[-1] == (300, 300)
        (new,) = keys_of(home).values()
        assert new.owner_key != old.owner_key
        assert new.record_key != old.record_key
        assert new.collection_uid != old.collection_uid
        assert right(client, "secret", vectors)
        assert names(client) == ["secret"]
        assert not list((home / "rotations").iterdir())
        assert len(list((home / "mirrors").rglob("*.sqlite"))) == 1
        with pytest.raises(KeyMissing):
            revoked.search_vector("secret", vectors[0])
        session = client._protocol._session
        mirror = session.mirror(new.store_uid, new.collection_uid)
        for row, sealed in mirror.page(3, 0):
            assert open_record(new.record_key, new.collection_uid, row, sealed)
            with pytest.raises(SealBroken):
                open_record(old.record_key, new.collection_uid, row, sealed)
        server.kill()
        server.start()
        assert right(client, "secret", vectors)
        client.enrol_vectors("secret", ["more"], vectors[:1])
        assert client.count("secret") == 301


def test_vectors_and_records_are_carried_to_the_last_bit(client, home, name, unit_vectors):
    vectors = unit_vectors(40, DIMENSION)
    fill(client, name, vectors)
    before = {record.id: record for record in client.list(name)}
    for _ in range(2):
        with pytest.warns(OnlyKeyHere, match=f"key of {name} loses the collection"):
            client.rotate_keys(name)
    after = {record.id: record for record in client.list(name)}
    assert after == before
    assert all(np.array_equal(after[row].vector, before[row].vector) for row in before)


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_goes_on_and_both_are_served_meanwhile(server, home, name, unit_vectors, point):
    vectors = unit_vectors(45, DIMENSION)
    with Client(server.address, home=home) as client:
        fill(client, name, vectors)
    killed_at(point, server, home, name)
    with Client(server.address, home=home) as client:
        assert right(client, name, vectors)
        replaced = point in ("replaced", "destroyed")
        assert (f"{name}.rotating" in names(client)) is not replaced
        if not replaced:  # what happens between the two tries is carried over as well
            client.erase(name, ["3"])
            client.erase(name, ["4"])
            client.enrol_vectors(name, ["4"], vectors[4:5], records=[Record(caption="picture 4")])
        assert client.rotate_keys(name) == (45 if replaced else 44)
        assert right(client, name, vectors, () if replaced else (3,))
        assert f"{name}.rotating" not in names(client)
        held = [key for key in keys_of(home).values() if key.name == name]
        assert len(held) == 1
        assert not list((home / "rotations").iterdir())


def test_killed_before_the_new_key_is_on_the_disk_the_error_names_the_way_out(server, home, name, unit_vectors):
    vectors = unit_vectors(5, DIMENSION)
    with Client(server.address, home=home) as client:
        fill(client, name, vectors)
    killed_at("made", server, home, name)
    with Client(server.address, home=home) as client:
        with pytest.raises(KeyMissing, match=f"`unseen delete {name}.rotating`, then rotate again"):
            client.rotate_keys(name)
        assert right(client, name, vectors)
        client.delete_collection(f"{name}.rotating")
        assert client.rotate_keys(name) == 5
        assert right(client, name, vectors)


def test_the_word_of_a_server_alone_destroys_no_key(server, home, name, unit_vectors):
    with Client(server.address, home=home) as client:
        fill(client, name, unit_vectors(45, DIMENSION))
    (old,) = (key for key in KeyStore(home).all() if key.name == name)
    killed_at("carrying", server, home, name)
    with Client(server.address, home=home) as client:
        session = client._protocol._session
        client._drive(
            rotate._put_in_place(session, session.rotations.of(old.store_uid, name), client.collection(name).epoch)
        )
        with pytest.raises(IntegrityError, match="the old key was kept"):
            client.rotate_keys(name)
    assert KeyStore(home).get(old.collection_uid) == old


def test_a_server_without_the_old_collection_gets_no_half_one_in_its_place(server, home, tmp_path, name, unit_vectors):
    with Client(server.address, home=home) as client:
        fill(client, name, unit_vectors(45, DIMENSION))
    (old,) = (key for key in KeyStore(home).all() if key.name == name)
    killed_at("carrying", server, home, name)
    with Client(server.address, home=tmp_path / "second") as second:
        second.delete_collection(name)
    with Client(server.address, home=home) as client, pytest.raises(CollectionNotFound):
        client.rotate_keys(name)
    assert KeyStore(home).get(old.collection_uid) == old


def test_what_another_device_writes_meanwhile_is_carried_over(server, home, tmp_path, name, unit_vectors):
    vectors = unit_vectors(46, DIMENSION)
    with Client(server.address, home=home) as client, Client(server.address, home=tmp_path / "second") as second:
        fill(client, name, vectors[:45])
        made = client.collection(name)
        KeyStore(tmp_path / "second").put(KeyStore(home).get(made.uid))
        written = []

        def write(step):
            if not written and step.done == step.total:
                written.append(second.erase(name, ["7"]))
                second.enrol_vectors(name, ["45"], vectors[45:], records=[Record(caption="picture 45")])

        assert client.rotate_keys(name, progress=write) == 45
        assert written == [1]
        assert right(client, name, vectors, (7,))


def test_two_devices_at_once_do_not_break_it(server, home, tmp_path, name, unit_vectors):
    vectors = unit_vectors(45, DIMENSION)
    with Client(server.address, home=home) as client, Client(server.address, home=tmp_path / "second") as second:
        fill(client, name, vectors)
        KeyStore(tmp_path / "second").put(KeyStore(home).get(client.collection(name).uid))
        refused = []

        def rotate_too(step):
            if step.what == "rows" and not refused:
                with pytest.raises(KeyMissing, match="another device is giving") as told:
                    second.rotate_keys(name)
                refused.append(told.value)
                assert right(second, name, vectors)

        client.rotate_keys(name, progress=rotate_too)
        assert refused
        assert right(client, name, vectors)
        with pytest.raises(KeyMissing):
            second.list(name)
        KeyStore(tmp_path / "second").put(KeyStore(home).get(client.collection(name).uid))
        assert second.rotate_keys(name) == 45
        with pytest.raises(UnseenError):
            client.rotate_keys(name)


def test_two_runs_of_one_device_at_once_leave_every_row_under_new_keys(server, home, name, unit_vectors):
    vectors = unit_vectors(45, DIMENSION)
    with Client(server.address, home=home) as client:
        fill(client, name, vectors)
    (old,) = (key for key in KeyStore(home).all() if key.name == name)
    failures = []

    def run():
        try:
            with Client(server.address, home=home) as one:
                one.rotate_keys(name)
        except UnseenError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) < 2
    with Client(server.address, home=home) as client:
        if Rotations(home).of(old.store_uid, name):  # the slower one was stopped by the faster one
            client.rotate_keys(name)
        assert right(client, name, vectors)
        assert old.key_id not in {key.key_id for key in KeyStore(home).all()}
        assert f"{name}.rotating" not in names(client)


def test_the_way_back_to_this_sites_objects_is_carried_over(client, home, name, unit_vectors):
    fill(client, name, unit_vectors(3, DIMENSION))
    session, way = client._protocol._session, WayBack("1.2", "1.2.3", "1.2.3.4", 1, "scan.dcm")
    (old,) = (key for key in KeyStore(home).all() if key.name == name)
    session.crosswalk(old.store_uid, old).put({row_id(old.record_key, "1"): way})
    client.rotate_keys(name)
    (new,) = (key for key in KeyStore(home).all() if key.name == name)
    crosswalk = session.crosswalk(new.store_uid, new)
    assert crosswalk.get(row_id(new.record_key, "1")) == way
    assert len(crosswalk) == 1
    assert not session.crosswalk_path(old.store_uid, old.collection_uid).exists()


def test_a_sealed_collection_and_one_that_is_not_there_are_refused_and_left_alone(client, name):
    client.create_collection(name, dimension=16)
    with pytest.raises(InvalidInput, match="not owner-encrypted"):
        client.rotate_keys(name)
    assert f"{name}.rotating" not in names(client)
    with pytest.raises(CollectionNotFound):
        client.rotate_keys(f"{name}-none")


async def test_the_asyncio_client_rotates_too(server, home, name, unit_vectors):
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name, dimension=DIMENSION, protection="owner")
        await client.enrol_vectors(name, ["1"], unit_vectors(1, DIMENSION))
        assert await client.rotate_keys(name) == 1
        assert [record.id for record in await client.list(name)] == ["1"]
