"""Enrol photographs and search them by words. The server sees neither the photographs nor the words nor the scores."""

import os
from pathlib import Path

from unseen_client import Client

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")
PHOTOGRAPHS = Path(__file__).parent / "demo/photos"

with Client(SERVER) as client:
    client.create_collection("example-words", model="bundled")
    report = client.enrol_images("example-words", sorted(PHOTOGRAPHS.glob("*.jpg"))[:12], progress=True)
    print(f"enrolled {report.enrolled}, refused {len(report.refused)}, faces covered {report.faces_covered}")
    for hit in client.search_text("example-words", "a cup of coffee", top_k=3):
        print(f"{hit.score:.2f}  {hit.record.name}")
    client.delete_collection("example-words")
