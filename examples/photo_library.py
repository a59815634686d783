"""A photo library: a zip of photographs and a manifest with captions, found by words, by a picture and by their fields.

Run again it enrols only what changed, and it says which photographs are there twice.
"""

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from unseen_client import Client, Query

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")
PHOTOS = Path(__file__).parent / "demo/photos"
LIBRARY: list[dict[str, Any]] = [
    {"path": "tabby-cat.jpg", "caption": "Minka on the sofa", "taken": "2024-03-05", "place": "home"},
    {"path": "autumn-mountain.jpg", "caption": "our hike", "taken": "2023-10-14", "place": "Alps", "tags": ["holiday"]},
    {"path": "pagoda.jpg", "caption": "the old temple", "taken": "2024-04-02", "place": "Kyoto", "tags": ["holiday"]},
    {"path": "espresso.jpg", "caption": "breakfast", "taken": "2024-04-03", "place": "Kyoto", "tags": ["holiday"]},
]

with tempfile.TemporaryDirectory() as name, Client(SERVER) as client:
    folder = Path(name)
    manifest, archive = folder / "library.jsonl", folder / "from-the-telephone.zip"
    manifest.write_text("\n".join(map(json.dumps, LIBRARY)))
    with zipfile.ZipFile(archive, "w") as packed:
        for photo in ("dahlia.jpg", "tabby-cat.jpg"):
            packed.write(PHOTOS / photo, f"DCIM/{photo}")

    client.create_collection("example-library")
    report = client.enrol_from("example-library", manifest, root=PHOTOS)
    print(report)
    assert report.ids == tuple(line["path"] for line in LIBRARY)
    telephone = client.enrol_from("example-library", archive)
    print("there twice:", [(duplicate.source, duplicate.of) for duplicate in telephone.duplicates])
    assert [duplicate.of for duplicate in telephone.duplicates] == ["tabby-cat.jpg"]

    best = client.search_text("example-library", "a mountain landscape", top_k=1)[0]
    assert best.id == "autumn-mountain.jpg"
    like = client.search_image("example-library", Path(__file__).parent / "demo/queries/another-cat.jpg", top_k=1)[0]
    assert like.record.name == "tabby-cat.jpg"
    spring = ["tag = holiday", "taken >= 2024-01-01"]
    drink = client.search("example-library", Query.words("something to drink"), where=spring, top_k=1)[0]
    assert drink.id == "espresso.jpg"

    LIBRARY[0]["caption"] = "Minka, asleep"
    manifest.write_text("\n".join(map(json.dumps, LIBRARY)))
    again = client.enrol_from("example-library", manifest, root=PHOTOS)
    print(again)
    assert (again.replaced, len(again.already)) == (("tabby-cat.jpg",), 3)
    assert client.get("example-library", "tabby-cat.jpg").caption == "Minka, asleep"
    client.delete_collection("example-library")
