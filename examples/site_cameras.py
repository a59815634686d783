"""A site's camera: frames enrolled with their time, searched by words, and only those of some seconds.

The frames are made here: a garden path, and from second 5 to 8 an animal on it. A clip of your own is enrolled by
`client.enrol_from(NAME, "clip.mp4")`, with `unseen[video]` (docs/data.md).
"""

import json
import os
import tempfile
from pathlib import Path

from PIL import Image, ImageEnhance

from unseen_client import Client, Query

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")
PHOTOS = Path(__file__).parent / "demo/photos"
SECONDS, VISIT = range(12), range(5, 9)


def write_frames(folder: Path) -> Path:
    """One frame a second, its light changing, and a manifest that says when each was taken."""
    yard = Image.open(PHOTOS / "garden-path.jpg").convert("RGB").resize((640, 480))
    visitor = Image.open(PHOTOS / "raccoon.jpg").convert("RGB").resize((400, 400))
    lines = []
    for second in SECONDS:
        frame = ImageEnhance.Brightness(yard).enhance(0.8 + 0.03 * second)
        if second in VISIT:
            frame.paste(visitor, (20 * (second - VISIT.start), 60))
        frame.save(folder / f"{second:06}.jpg")
        lines.append({"path": f"{second:06}.jpg", "camera": "gate", "second": second})
    manifest = folder / "frames.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    return manifest


with tempfile.TemporaryDirectory() as name, Client(SERVER) as client:
    manifest = write_frames(Path(name))
    client.create_collection("example-cameras")
    report = client.enrol_from("example-cameras", manifest)
    assert report.enrolled == len(SECONDS)

    hits = client.search("example-cameras", Query.words("a raccoon"), top_k=len(VISIT))
    print("an animal was seen at seconds", sorted(int(hit.record.extra["second"]) for hit in hits))
    assert {int(hit.record.extra["second"]) for hit in hits} == set(VISIT)

    early = client.search("example-cameras", Query.words("a raccoon"), where=["camera = gate", "second < 7"], top_k=2)
    assert {hit.record.extra["second"] for hit in early} == {"5", "6"}

    assert client.enrol_from("example-cameras", manifest).enrolled == 0, "what is there is not enrolled twice"
    client.delete_collection("example-cameras")
