"""Twenty searches at the same time with ``AsyncClient``. Each is encrypted under a key of its own."""

import asyncio
import os

import numpy as np

from unseen_client import AsyncClient

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")


async def main() -> None:
    vectors = np.random.default_rng(3).standard_normal((300, 64)).astype(np.float32)
    async with AsyncClient(SERVER) as client:
        await client.create_collection("example-async", dimension=64)
        await client.enrol_vectors("example-async", [str(number) for number in range(300)], vectors)
        searches = (client.search_vector("example-async", vector, top_k=1) for vector in vectors[:20])
        best = [hits[0].id for hits in await asyncio.gather(*searches)]
        assert best == [str(number) for number in range(20)]
        print("found:", ", ".join(best))
        await client.delete_collection("example-async")


asyncio.run(main())
