"""``AsyncClient`` against the real server: the same session as ``Client``'s, awaited, with the same answers."""

from __future__ import annotations

import pytest

from unseen.errors import CollectionNotFound, KeyMissing, ServerUnavailable
from unseen_client import AsyncClient, Client, Record


async def test_the_session_of_the_blocking_client_runs_awaited(server, home, name, unit_vectors, protection):
    vectors, seen = unit_vectors(20, 512), []
    async with AsyncClient(server.address, home=home, timeout_s=20) as client:
        await client.create_collection(name, dimension=512, protection=protection)
        report = await client.enrol_vectors(
            name,
            [f"v{at}" for at in range(20)],
            vectors,
            records=[Record(caption=f"row {at}") for at in range(20)],
            progress=seen.append,
        )
        assert (report.enrolled, seen[-1].done) == (20, 20)
        hits = await client.search_vector(name, vectors[16], top_k=2)
        assert (hits[0].id, hits[0].record.caption, len(hits)) == ("v16", "row 16", 2)
        assert (await client.search_like(name, "v16", top_k=1))[0].id == hits[1].id
        assert await client.count(name) == len(await client.list(name)) == 20
        assert (await client.get(name, "v4")).caption == "row 4"
        assert await client.erase(name, ["v4", "v5"]) == 2
        assert (await client.collection(name)).rows == 18
        assert name in {one.name for one in await client.list_collections()}
        assert (await client.server_info()).max_rows_per_enrolment >= 1000
        with pytest.raises(KeyMissing):
            async with AsyncClient(server.address, home=home / "other") as stranger:
                await stranger.list(name)
        await client.delete_collection(name)
        with pytest.raises(CollectionNotFound):
            await client.count(name)


async def test_both_clients_see_each_others_rows(server, home, name, client, unit_vectors):
    client.create_collection(name, dimension=16)
    async with AsyncClient(server.address, home=home) as other:
        await other.enrol_vectors(name, ["a"], unit_vectors(1))
        assert client.search_vector(name, unit_vectors(1)[0])[0].id == "a"
        client.erase(name, "a")
        assert await other.search_vector(name, unit_vectors(1)[0]) == []


async def test_a_server_that_is_not_there_is_named(home):
    async with AsyncClient("127.0.0.1:1", home=home, timeout_s=0.5) as client:
        with pytest.raises(ServerUnavailable, match="unseen serve"):
            await client.server_info()


async def test_a_client_never_used_closes(home):
    await AsyncClient("127.0.0.1:1", home=home).close()
    Client("127.0.0.1:1", home=home).close()
