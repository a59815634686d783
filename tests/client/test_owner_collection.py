"""Owner-encrypted collections on a real server on loopback: the same calls, and a server that cannot read."""

from __future__ import annotations

import threading
import warnings

import pytest

from tests.core.governance.written import terms
from unseen import params
from unseen.errors import InvalidConfiguration, InvalidInput, RowNotFound, UnseenError
from unseen.he.owner.layout import Layout
from unseen_client import Client, OnlyKeyHere, Query
from unseen_client.flows import search
from unseen_client.flows.sync import sync
from unseen_client.keys.controller_keys import ControllerKeys
from unseen_client.keys.key_export import export_key, import_key
from unseen_client.keys.keystore import KeyStore
from unseen_client.keys.passphrase import VARIABLE
from unseen_client.keys.vault import NOTHING, Vault

pytestmark = pytest.mark.usefixtures("locked_keys")

DIMENSION = 64
ERROR = 7 * 0.00074
"""Seven times the score error that is worked out for this dimension (``unseen.he.owner.noise``)."""


def ids(count, start=0):
    return [str(at) for at in range(start, start + count)]


def right(client, name, vectors, numbers):
    """Every one of these rows is found by its own vector, with the scores of plaintext search."""
    for at in numbers:
        hits = client.search_vector(name, vectors[at], top_k=3)
        assert hits[0].id == str(at)
        for hit in hits:
            assert hit.score == pytest.approx(float(vectors[at] @ vectors[int(hit.id)]), abs=ERROR)
    return True


def test_rows_are_found_with_the_scores_of_plaintext_search_before_and_after_a_restart(own_server, home, unit_vectors):
    server, vectors = own_server(), unit_vectors(1200, DIMENSION)
    with Client(server.address, home=home) as client:
        made = client.create_collection("secret", dimension=DIMENSION, protection="owner")
        assert made.parameter_id == params.OWNER_DEFAULT.id
        assert client.search_vector("secret", vectors[0]) == []
        client.enrol_vectors("secret", ids(3), vectors[:3])  # side blocks
        client.enrol_vectors("secret", ids(1190, 3), vectors[3:1193])  # whole blocks
        client.enrol_vectors("secret", ids(1, 1193), vectors[1193:1194])  # a side block once more
        assert right(client, "secret", vectors, (0, 2, 3, 700, 1192, 1193))
        server.kill()
        server.start()
        assert right(client, "secret", vectors, (0, 2, 3, 700, 1192, 1193))
        assert client.enrol_vectors("secret", ids(4, 1192), vectors[1192:1196]).already == ("1192", "1193")
        assert right(client, "secret", vectors, (1193, 1195))
        assert client.search("secret", Query.like("700"), top_k=1)[0].id != "700"
        assert client.count("secret") == 1196


def test_erased_rows_never_score_and_their_neighbours_do(own_server, home, unit_vectors):
    server, vectors = own_server(), unit_vectors(300, DIMENSION)
    with Client(server.address, home=home) as client:
        client.create_collection("secret", dimension=DIMENSION, protection="owner")
        client.enrol_vectors("secret", ids(280), vectors[:280])
        client.enrol_vectors("secret", ids(5, 280), vectors[280:285])
        assert client.erase("secret", ["7", "8", "279", "281"]) == 4
        for restarted in (False, True):
            if restarted:
                server.kill()
                server.start()
            found = {hit.id for hit in client.search_vector("secret", vectors[7], top_k=300)}
            assert found == set(ids(285)) - {"7", "8", "279", "281"}
            assert right(client, "secret", vectors, (0, 6, 9, 278, 280, 284))
        client.enrol_vectors("secret", ["7"], vectors[7:8])
        assert right(client, "secret", vectors, (7,))
        with pytest.raises(RowNotFound):
            client.erase("secret", ["8"])


def test_single_rows_move_into_whole_blocks_and_score_as_before(server, home, tmp_path, name, unit_vectors):
    """By themselves when side blocks are half full, or when asked; another device finds them and goes on."""
    vectors = unit_vectors(45, 1024)
    with Client(server.address, home=home) as first, Client(server.address, home=tmp_path / "second") as second:
        made = first.create_collection(name, dimension=1024, protection="owner")
        KeyStore(tmp_path / "second").put(KeyStore(home).get(made.uid))
        side_slots = Layout.of(params.OWNER_DEFAULT, 1024, made.packing_factor).side_slots
        first.enrol_vectors(name, ids(31), vectors[:31])
        assert right(second, name, vectors, (0, 30))
        assert first.erase(name, ["3"]) == 1
        first.enrol_vectors(name, ids(1, 31), vectors[31:32])
        assert first.collection(name).slots <= side_slots, "a few rows are no reason to move them"
        first.enrol_vectors(name, ids(3, 32), vectors[32:35])
        assert first.collection(name).slots == side_slots + 34
        for client in (first, second):
            assert client.pack(name) == 0
            assert {hit.id for hit in client.search_vector(name, vectors[3], top_k=99)} == set(ids(35)) - {"3"}
            assert right(client, name, vectors, (0, 31, 34))
        second.enrol_vectors(name, ids(3, 35), vectors[35:38])
        assert first.erase(name, ["0", "36"]) == 2
        assert second.pack(name) == 2
        assert right(first, name, vectors, (1, 34, 35, 37))
        assert first.count(name) == 35
        first.create_collection(f"{name}-sealed", dimension=16)
        with pytest.raises(InvalidInput, match="packs it by itself"):
            first.pack(f"{name}-sealed")


def test_search_finds_rows_that_another_device_moves_meanwhile(server, home, tmp_path, name, unit_vectors, monkeypatch):
    vectors, moves = unit_vectors(3, DIMENSION), []
    with Client(server.address, home=home) as first, Client(server.address, home=tmp_path / "second") as second:
        made = first.create_collection(name, dimension=DIMENSION, protection="owner")
        KeyStore(tmp_path / "second").put(KeyStore(home).get(made.uid))
        first.enrol_vectors(name, ids(3), vectors)
        assert right(first, name, vectors, (0, 1, 2))

        def sync_after_a_move(session, place, epoch):
            if moves:
                return sync(session, place, epoch)
            moves.append(second.pack(name))
            return sync(session, place, epoch + 1)

        with monkeypatch.context() as patched:
            patched.setattr(search, "sync", sync_after_a_move)
            assert right(first, name, vectors, (1,))
            assert len(first.search_vector(name, vectors[1])) == 3
        assert moves == [3]


def test_concurrent_writers_lose_nothing(server, home, tmp_path, name, unit_vectors):
    """Two devices write single rows into the same side blocks, and erase some, at the same time."""
    vectors = unit_vectors(60, DIMENSION)
    with Client(server.address, home=home) as first, Client(server.address, home=tmp_path / "second") as second:
        made = first.create_collection(name, dimension=DIMENSION, protection="owner")
        KeyStore(tmp_path / "second").put(KeyStore(home).get(made.uid))
        failures = []

        def write(client, numbers):
            try:
                for at in numbers:
                    client.enrol_vectors(name, [str(at)], vectors[at : at + 1])
                client.erase(name, [str(numbers[0])])
            except UnseenError as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(one, range(n, 20, 2))) for n, one in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert {hit.id for hit in second.search_vector(name, vectors[5], top_k=99)} == set(ids(18, 2))
        assert right(second, name, vectors, range(2, 20))


def test_creation_says_once_that_losing_the_key_loses_the_collection(client, name):
    """What the command line shows comes of the same warning."""
    with pytest.warns(OnlyKeyHere, match=f"key of {name} loses the collection") as said:
        client.create_collection(name, dimension=16, protection="owner")
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.create_collection(f"{name}-2", dimension=16)


def test_without_a_lock_no_owner_key_is_made_taken_in_or_written(server, home, tmp_path, name, monkeypatch):
    """By a creation, by an import: nothing is made on the server, nothing in the clear lies on the disk."""
    with Client(server.address, home=tmp_path / "other") as other:
        made = other.create_collection(name, dimension=16, protection="owner")
    key = KeyStore(tmp_path / "other").get(made.uid)
    monkeypatch.delenv(VARIABLE)
    with Client(server.address, home=home) as client:
        with pytest.raises(InvalidConfiguration, match="never lies in the clear: run `unseen keys protect"):
            client.create_collection(f"{name}-2", dimension=16, protection="owner")
        assert f"{name}-2" not in [one.name for one in client.list_collections()]
        with pytest.raises(InvalidConfiguration, match="never lies in the clear"):
            KeyStore(home).put(key)
    assert not list((home / "keys").iterdir())
    with Client(server.address, home=home, passphrase=lambda: "long enough words") as client:
        client.create_collection(f"{name}-3", dimension=16)
        assert Vault(home).protection == NOTHING, "a sealed collection asks for no lock"
        client.create_collection(f"{name}-2", dimension=16, protection="owner")
    assert Vault(home).protection == "passphrase"
    assert len(list((home / "keys").iterdir())) == 2
    assert not [path for path in home.rglob("*") if path.is_file() and b"owner_key" in path.read_bytes()]


def test_rows_that_a_device_wrote_are_not_sent_back_to_it(server, home, tmp_path, name, unit_vectors, monkeypatch):
    """Its mirror is the one that another device gets from the server; what others wrote meanwhile is asked for."""
    vectors, asked, exchange = unit_vectors(310, DIMENSION), [], Client._exchange

    def counted(self, step):
        asked.append((self, step.rpc.path.rpartition("/")[2]))
        exchange(self, step)

    monkeypatch.setattr(Client, "_exchange", counted)
    with Client(server.address, home=home) as first, Client(server.address, home=tmp_path / "second") as second:
        made = first.create_collection(name, dimension=DIMENSION, protection="owner")
        KeyStore(tmp_path / "second").put(KeyStore(home).get(made.uid))
        first.enrol_vectors(name, ids(300), vectors[:300])
        first.enrol_vectors(name, ids(5, 300), vectors[300:305])
        assert (first, "SyncCatalogue") not in asked
        second.enrol_vectors(name, ids(2, 305), vectors[305:307])
        assert asked.count((second, "SyncCatalogue")) == 1, "what was there, and not its own two"
        first.enrol_vectors(name, ids(3, 307), vectors[307:310])
        assert asked.count((first, "SyncCatalogue")) == 1
        assert len(second.list(name)) == 310
        mirrors = [one._protocol._session.mirror(one.server_info().store_uid, made.uid) for one in (first, second)]
        assert mirrors[0].page(-1, 0) == mirrors[1].page(-1, 0)
        (epoch, slots), (other_epoch, other_slots) = (one.standing() for one in mirrors)
        assert epoch == other_epoch
        assert slots.tolist() == other_slots.tolist()
        assert right(first, name, vectors, (0, 299, 304, 306, 309))


def test_what_is_not_built_is_refused_by_name(client, name, unit_vectors):
    for wrong, words in (
        ({"protection": "secret"}, "expected 'sealed' or 'owner'"),
        ({"protection": "owner", "metric": "l2", "longest": 2.0}, "compared by cosine"),
        ({"protection": "owner", "keep_vectors": False}, "keep_vectors"),
        ({"protection": "owner", "parameters": "n2048_q29"}, "no other"),
    ):
        with pytest.raises(InvalidInput, match=words):
            client.create_collection(name, dimension=DIMENSION, **wrong)
    with pytest.raises(InvalidInput, match="8 to 2048 coordinates"):
        client.create_collection(name, dimension=4096, protection="owner")


def test_a_key_that_is_exported_and_imported_opens_the_collection_elsewhere(
    client, tmp_path, server, name, unit_vectors
):
    vectors = unit_vectors(3, DIMENSION)
    made = client.create_collection(name, dimension=DIMENSION, protection="owner")
    client.enrol_vectors(name, ids(3), vectors)
    export_key(KeyStore(client._protocol._session.home).get(made.uid), tmp_path / "key", "long enough words")
    assert b"owner_key" not in (tmp_path / "key").read_bytes()
    KeyStore(tmp_path / "other").put(import_key(tmp_path / "key", "long enough words"))
    with Client(server.address, home=tmp_path / "other") as other:
        assert right(other, name, vectors, (0, 1, 2))


def test_no_agreement_can_be_set_on_it(client, home, name):
    """The server could not take rows out of their blocks when a consent ends, so it takes no policy."""
    client.create_collection(name, dimension=16, protection="owner")
    ControllerKeys(home).make("controller")
    with pytest.raises(InvalidInput, match="owner-encrypted"):
        client.set_policy(name, terms())


def test_the_command_line_says_which_protection_and_that_the_key_is_all(unseen, name):
    made = unseen("create", name, "--dimension", DIMENSION, "--protection", "owner")
    assert made.returncode == 0
    assert made.stderr.startswith(f"warning: losing the key of {name} loses the collection")
    assert made.stderr.count("\n") == 1
    line = next(line for line in unseen("collections").stdout.splitlines() if line.startswith(name))
    assert line.endswith("owner-encrypted: the server sees sizes only")
