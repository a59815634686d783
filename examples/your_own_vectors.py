"""Bring vectors of your own: enrol, search, look at a record, search for more like it, erase. No model is needed."""

import os

import numpy as np

from unseen_client import Client, Record, RowNotFound

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")

random = np.random.default_rng(7)
vectors = random.standard_normal((500, 128)).astype(np.float32)
ids = [f"row {number}" for number in range(len(vectors))]
records = [Record(id=row, caption=f"number {number}") for number, row in enumerate(ids)]

with Client(SERVER) as client:
    client.create_collection("example-vectors", dimension=128)
    client.enrol_vectors("example-vectors", ids, vectors, records=records)

    nearly = vectors[42] + 0.1 * random.standard_normal(128).astype(np.float32)
    best = client.search_vector("example-vectors", nearly, top_k=1)[0]
    print(f"{best.score:.3f}  {best.id}  {best.record.caption}")
    assert best.id == "row 42"

    print([hit.id for hit in client.search_like("example-vectors", "row 42", top_k=3)])

    client.erase("example-vectors", ["row 42"])
    try:
        client.get("example-vectors", "row 42")
    except RowNotFound as error:
        print(error)
    client.delete_collection("example-vectors")
