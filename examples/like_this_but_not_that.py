"""One query from weighted parts, only rows that fulfil a condition, scored again on the device without error."""

import os
from pathlib import Path

from unseen_client import Client, Query, Record

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")
FOLDER = Path(__file__).parent / "demo/photos"
NAMES = ["raccoon.jpg", "tabby-cat.jpg", "tiger-in-snow.jpg", "nuthatch.jpg", "espresso.jpg", "dahlia.jpg"]

with Client(SERVER) as client:
    client.create_collection("example-parts", model="bundled")
    records = [Record(tags=("outdoors",) if name != "espresso.jpg" else ("indoors",)) for name in NAMES]
    client.enrol_images("example-parts", [FOLDER / name for name in NAMES], records=records)

    animal, bird = Query.words("an animal"), Query.words("a bird")
    without = client.search("example-parts", animal - bird, where="tag = outdoors", rerank=True)
    alone = client.search("example-parts", animal, where="tag = outdoors", rerank=True, temperature=0.05)
    for hit in alone:
        print(f"{hit.score:.2f}  {hit.relevance:.0%}  {hit.record.name}")

    ranks = [[hit.record.name for hit in hits].index("nuthatch.jpg") for hits in (alone, without)]
    assert ranks[1] > ranks[0], "what is not wanted sinks"
    assert "espresso.jpg" not in [hit.record.name for hit in alone]
    assert abs(sum(hit.relevance or 0.0 for hit in alone) - 1) < 1e-6

    plain = {hit.id: hit.score for hit in client.search("example-parts", bird, rerank=True)}
    summed = {hit.id: hit.score for hit in client.search("example-parts", animal, rerank=True)}
    assert all(abs(hit.score - (summed[hit.id] - plain[hit.id])) < 1e-3 for hit in without)
    client.delete_collection("example-parts")
