"""What people bring in from elsewhere: manifests, zip files, exports of other programs."""

from __future__ import annotations

import io
import zipfile

from bench.fuzz.target import Target, scratch_folder
from unseen.errors import ImageRefused, InvalidInput
from unseen_client.bring import manifest, qdrant, sources, zipped
from unseen_client.decode_child import LARGEST_FILE_BYTES
from unseen_client.source_file import PictureFile


class Source:
    """One source, written anew by every execution; what it brings is unpacked."""

    def __init__(self, name: str) -> None:
        self._path = scratch_folder() / name

    def read(self, data: bytes) -> None:
        self._path.write_bytes(data)
        brought = sources.read_sources([self._path], sources.Choices())
        assert all(_unpacked(picture) <= LARGEST_FILE_BYTES for picture, _ in brought.pictures)


def _unpacked(picture: PictureFile) -> int:
    return len(picture.read()) if hasattr(picture, "read") else 0


def zip_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/a.png", b"picture" * 20)
    return buffer.getvalue()


ROOMS = {"m.jsonl": manifest, "m.csv": manifest, "p.json": qdrant, "p.zip": zipped}
"""Which module reads which source."""


def _target(name: str, seeds: tuple[bytes, ...], *, is_json: bool = False) -> Target:
    room = ROOMS[name].__name__.removeprefix("unseen_")
    return Target(f"{room}({name})", Source(name).read, (InvalidInput, ImageRefused), seeds, is_json=is_json)


LINE = b'{"path":"a.jpg","label":"x","tags":["y"]}'
REPLY = b'{"result":{"points":[{"id":7,"payload":{"a":1},"vector":{"image":[1,2]}}]}}'
CSV = b'path,label,tags\na.jpg,"x, y",z\n'
TARGETS = (
    _target("m.jsonl", (LINE, REPLY), is_json=True),
    _target("m.csv", (CSV,)),
    _target("p.json", (REPLY,), is_json=True),
    _target("p.zip", (zip_file(),)),
)
