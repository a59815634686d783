"""Both clients over a connection that breaks at any byte, either way: every call ends as if it had not."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bench.faults.flaky_proxy import FlakyProxy
from unseen.errors import DeadlineExceeded, ServerUnavailable
from unseen_client import AsyncClient, Client

pytestmark = pytest.mark.usefixtures("locked_keys")

CUTS = [0, 24, 60, 300, 9_000, 20_000]
"""In the HTTP/2 preface, in its settings, in headers, in the first message, in later ones."""


@pytest.fixture
def proxy(server):
    one = FlakyProxy(server.address)
    yield one
    one.close()


@pytest.fixture
def through(proxy, home):
    with Client(proxy.address, home=home, timeout_s=120) as one:
        yield one


@pytest.mark.parametrize(("protection", "cut"), [*(("sealed", cut) for cut in CUTS), ("owner", 9_000)])
@pytest.mark.parametrize("way", ["up", "down"])
def test_enrolment_and_search_survive_a_cut_after_any_byte(proxy, through, name, unit_vectors, protection, cut, way):
    vectors = unit_vectors(120, 64)
    broken = (cut, None) if way == "up" else (None, cut)
    through.create_collection(name, dimension=64, protection=protection)
    proxy.cut_next(broken)
    report = through.enrol_vectors(name, [str(at) for at in range(120)], vectors)
    assert report.enrolled == 120
    proxy.cut_next(broken, broken)
    assert through.search_vector(name, vectors[50], top_k=1)[0].id == "50"
    proxy.cut_next(broken)
    assert through.erase(name, ["50", "51"]) == 2
    assert through.count(name) == 118
    assert len(through.list(name)) == 118


def test_creation_and_deletion_survive_cuts(proxy, through, name):
    for cut in CUTS[:4]:
        proxy.cut_next((cut, None), (None, cut))
        made = through.create_collection(name, dimension=8)
        proxy.cut_next((None, cut), (cut, None))
        through.delete_collection(name)
        assert made.name == name


async def test_the_asyncio_client_survives_cuts_as_well(proxy, home, name, unit_vectors):
    vectors = unit_vectors(120, 64)
    async with AsyncClient(proxy.address, home=home, timeout_s=120) as client:
        await client.create_collection(name, dimension=64)
        for cut in CUTS[2:]:
            proxy.cut_next((cut, None), (None, cut))
            await client.enrol_vectors(name, [f"{cut}-{at}" for at in range(120)], vectors)
            proxy.cut_next((None, cut))
            assert (await client.search_vector(name, vectors[50], top_k=1))[0].score > 0.95
        assert await client.count(name) == 120 * len(CUTS[2:])


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy"])
async def test_no_proxy_that_the_environment_names_is_ever_asked(
    server, home, name, unit_vectors, monkeypatch, variable
):
    """gRPC would send a loopback connection, stored vectors in plain text, through it."""
    elsewhere = FlakyProxy("127.0.0.1:1")
    for one in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(variable, f"http://{elsewhere.address}")
    with Client(server.address, home=home, timeout_s=30) as client:
        client.create_collection(name, dimension=16)
        assert client.enrol_vectors(name, ["a", "b"], unit_vectors(2)).enrolled == 2
    async with AsyncClient(server.address, home=home, timeout_s=30) as client:
        assert await client.count(name) == 2
    assert elsewhere.connections == 0
    elsewhere.close()


def test_threads_that_share_a_client_all_survive_the_cuts(proxy, through, name, unit_vectors):
    vectors = unit_vectors(40, 64)
    through.create_collection(name, dimension=64)
    through.enrol_vectors(name, [str(at) for at in range(40)], vectors)

    def search(at):
        if at % 5 == 0:
            proxy.cut_next((9_000, None), (None, 300))
        return through.search_vector(name, vectors[at], top_k=1)[0].id

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(search, range(40))) == [str(at) for at in range(40)]


def test_a_server_that_answers_nothing_is_left_at_the_deadline(home):
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"127.0.0.1:{silent.getsockname()[1]}", home=home, timeout_s=1.0) as client,
        pytest.raises((DeadlineExceeded, ServerUnavailable)),
    ):
        client.server_info()


async def test_many_searches_of_one_asyncio_client_run_side_by_side(server, home, name, unit_vectors):
    vectors = unit_vectors(60, 32)
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name, dimension=32)
        await asyncio.gather(
            *(client.enrol_vectors(name, [str(at)], vectors[at : at + 1]) for at in range(20)),
            client.enrol_vectors(name, [str(at) for at in range(20, 60)], vectors[20:]),
        )
        found = await asyncio.gather(*(client.search_vector(name, vectors[at], top_k=1) for at in range(60)))
        assert [hits[0].id for hits in found] == [str(at) for at in range(60)]


async def test_an_error_that_comes_while_messages_are_still_sent_arrives_as_it_is(server, home, name, unit_vectors):
    """grpc.aio loses such a status now and then; a wrong packing factor makes the server answer to the header."""
    async with AsyncClient(server.address, home=home) as client:
        made = await client.create_collection(name, dimension=512)
        await client.enrol_vectors(name, ["a"], unit_vectors(1, 512))
        right = await client.collection(name)
        for _ in range(25):
            client._session.remember(replace(made, packing_factor=2 if right.packing_factor != 2 else 4))
            assert (await client.search_vector(name, unit_vectors(1, 512)[0]))[0].id == "a"


async def test_a_cancelled_search_leaves_the_client_usable(server, home, name, unit_vectors):
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name, dimension=512)
        await client.enrol_vectors(name, [str(at) for at in range(50)], unit_vectors(50, 512))
        for steps in range(12):
            task = asyncio.create_task(client.search_vector(name, unit_vectors(50, 512)[7], top_k=1))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await client.search_vector(name, unit_vectors(50, 512)[7], top_k=1))[0].id == "7"
