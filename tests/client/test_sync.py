"""``Client`` against the real server: encrypted search agrees with plaintext, and what was acknowledged stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bench.faults.flaky_proxy import FlakyProxy
from tests.noise import MOST_COSINE_ERROR
from unseen import params
from unseen.errors import CollectionNotFound, InvalidName, KeyMissing, ServerUnavailable
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen_client import Client, Record


def scores_by_id(hits):
    return {hit.id: hit.score for hit in hits}


@pytest.mark.parametrize(("rows", "dimension"), [(1, 8), (37, 100), (700, 512), (3, 4096)])
@pytest.mark.parametrize("parameters", params.PUBLISHED, ids=lambda one: one.name)
def test_scores_agree_with_the_plain_twin_and_with_numpy(client, name, unit_vectors, rows, dimension, parameters):
    vectors, query = unit_vectors(rows, dimension), unit_vectors(1, dimension, seed=5)[0]
    ids = [str(at) for at in range(rows)]
    client.create_collection(name, dimension=dimension, parameters=parameters.name)
    assert client.enrol_vectors(name, ids, vectors).enrolled == rows
    found = scores_by_id(client.search_vector(name, query, top_k=rows))
    encrypted = np.array([found[row] for row in ids])
    twin = to_cosines(parameters, plain_scores(quantise_rows(parameters, vectors), quantise_query(parameters, query)))
    assert np.abs(encrypted - twin).max() < MOST_COSINE_ERROR
    assert np.abs(encrypted - vectors @ query).max() < 0.02
    if rows > 1:
        assert encrypted.std() > 0.005 or dimension == 4096


def test_the_best_of_many_are_the_best_of_plaintext(client, name, unit_vectors, protection):
    """Rows around thirty centres, apart by more than the noise: the ranking must be numpy's."""
    centres = unit_vectors(30, 64)
    client.create_collection(name, dimension=64, protection=protection)
    client.enrol_vectors(name, [str(at) for at in range(30)], centres)
    query = sum(weight * centres[at] for at, weight in enumerate((1.0, 0.7, 0.4)))
    order = np.argsort(-(centres @ (query / np.linalg.norm(query))))[:3]
    assert [hit.id for hit in client.search_vector(name, query, top_k=3)] == [str(at) for at in order]


def test_the_readme_session_runs(server, home, unit_vectors, protection):
    vectors = unit_vectors(20, 512)
    with Client(server.address, home=home, timeout_s=20) as client:
        client.create_collection("readme", dimension=512, protection=protection)
        report = client.enrol_vectors(
            "readme", [f"v{at}" for at in range(20)], vectors, records=[Record(caption=f"row {at}") for at in range(20)]
        )
        assert (report.enrolled, report.refused, report.faces_covered) == (20, (), 0)
        hits = client.search_vector("readme", vectors[16], top_k=2)
        assert (hits[0].id, hits[0].record.caption, len(hits)) == ("v16", "row 16", 2)
        assert client.search_like("readme", "v16", top_k=1)[0].id == hits[1].id
        assert client.count("readme") == len(client.list("readme")) == 20
        assert client.get("readme", "v4").caption == "row 4"
        assert client.erase("readme", ["v4", "v5"]) == 2
        assert client.count("readme") == client.collection("readme").rows == 18
        assert "readme" in {one.name for one in client.list_collections()}
        client.delete_collection("readme")
        with pytest.raises(CollectionNotFound):
            client.count("readme")


def test_a_collection_that_grows_is_searched_across_its_repackings(client, name, unit_vectors):
    client.create_collection(name, dimension=64)
    seen = set()
    enrolled = 0
    for size in (1, 30, 300, 3000):
        ids = [str(at) for at in range(enrolled, size)]
        client.enrol_vectors(name, ids, unit_vectors(len(ids), 64, seed=size))
        enrolled = size
        target = unit_vectors(len(ids), 64, seed=size)[-1]
        assert client.search_vector(name, target, top_k=1)[0].id == str(size - 1)
        seen.add(client.collection(name).packing_factor)
    assert len(seen) > 1


def test_the_servers_own_errors_arrive_as_the_same_class(client):
    with pytest.raises(CollectionNotFound, match="unseen collections"):
        client.count("nowhere")
    with pytest.raises(InvalidName):
        client.create_collection("No Such Name!", dimension=8)


def test_a_collection_whose_rows_were_all_erased_gives_no_hits_and_can_be_filled_again(
    client, name, unit_vectors, protection
):
    client.create_collection(name, dimension=16, protection=protection)
    assert client.search_vector(name, unit_vectors(1)[0]) == []
    client.enrol_vectors(name, ["a", "b"], unit_vectors(2))
    client.erase(name, ["a", "b"])
    assert client.search_vector(name, unit_vectors(1)[0]) == []
    client.enrol_vectors(name, ["b"], unit_vectors(2)[1:])
    assert [hit.id for hit in client.search_vector(name, unit_vectors(2)[1])] == ["b"]


def test_many_threads_share_one_client(client, name, unit_vectors, protection):
    vectors = unit_vectors(200, 32)
    client.create_collection(name, dimension=32, protection=protection)
    with ThreadPoolExecutor(4) as threads:
        parts = [[str(at) for at in range(start, start + 20)] for start in range(0, 200, 20)]
        list(threads.map(lambda part: client.enrol_vectors(name, part, vectors[[int(at) for at in part]]), parts))
        found = list(threads.map(lambda at: client.search_vector(name, vectors[at], top_k=1)[0].id, range(0, 200, 10)))
    assert found == [str(at) for at in range(0, 200, 10)]


def test_two_devices_with_one_key_see_the_same_rows(client, server, name, tmp_path, unit_vectors, protection):
    from unseen_client.keys.keystore import KeyStore

    client.create_collection(name, dimension=16, protection=protection)
    client.enrol_vectors(name, ["a", "b"], unit_vectors(2))
    with Client(server.address, home=tmp_path / "other") as other:
        with pytest.raises(KeyMissing):
            other.list(name)
        KeyStore(tmp_path / "other").put(KeyStore(tmp_path / "device").get(client.collection(name).uid))
        assert [one.id for one in other.list(name)] == ["a", "b"]
        other.erase(name, "a")
        assert [hit.id for hit in client.search_vector(name, unit_vectors(2)[0], top_k=5)] == ["b"]


@pytest.mark.parametrize(
    ("protection", "bytes_before_the_kill"),
    [("sealed", 100_000), ("sealed", 400_000), ("sealed", 900_000), ("owner", 900_000)],
)
def test_rows_are_there_exactly_once_when_the_server_is_killed_in_a_stream(
    own_server, home, unit_vectors, protection, bytes_before_the_kill
):
    """Kill -9 while a stream is on its way, before or after its answer; the client goes on when the server is back."""
    server, vectors = own_server(), unit_vectors(2500, 32)
    ids, killed = [str(at) for at in range(2500)], threading.Event()
    proxy = FlakyProxy(server.address)
    with Client(proxy.address, home=home, timeout_s=60) as client:
        client.create_collection("kept", dimension=32, protection=protection)

        def kill_and_start():
            server.kill()
            killed.set()
            threading.Thread(target=server.start).start()

        proxy.on_cut = kill_and_start
        proxy.cut_next((bytes_before_the_kill, None))
        report = client.enrol_vectors("kept", ids, vectors)
        assert killed.is_set()
        assert (report.enrolled, report.already) == (2500, ())
        assert client.count("kept") == 2500
        assert sorted(one.id for one in client.list("kept")) == sorted(ids)
        assert client.search_vector("kept", vectors[1700], top_k=1)[0].id == "1700"
    proxy.close()


def test_a_server_that_is_not_there_is_named_with_what_to_do(home):
    with (
        Client("127.0.0.1:1", home=home, timeout_s=0.5) as client,
        pytest.raises(ServerUnavailable, match=r"unseen serve --listen 127\.0\.0\.1:1"),
    ):
        client.server_info()


def test_a_client_waits_for_a_server_that_is_restarting(own_server, home):
    server = own_server()
    with Client(server.address, home=home, timeout_s=60) as client:
        client.create_collection("early", dimension=8)
        server.kill()
        restart = threading.Thread(target=server.start)
        restart.start()
        assert client.count("early") == 0
        restart.join()


def test_nothing_is_left_running_when_a_client_is_closed(client, name, unit_vectors):
    client.create_collection(name, dimension=16)
    client.enrol_vectors(name, ["a"], unit_vectors(1))
    client.search_vector(name, unit_vectors(1)[0])
    assert "unseen-query-pool" in {thread.name for thread in threading.enumerate()}
    client.close()
    assert "unseen-query-pool" not in {thread.name for thread in threading.enumerate()}
