"""Sources by what they are: folders, pictures, videos, texts, manifests, zip files, exports of other programs.

Read on this device. A source is told by its suffix, a folder by what lies in it; what is none of these is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unseen.errors import InvalidInput
from unseen.json_text import read_json
from unseen_client.bring import clip_retrieval, manifest, qdrant, video, zipped
from unseen_client.bring.brought import Brought, together
from unseen_client.bring.video import VideoReader
from unseen_client.records import Record

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""What is taken from a folder or a zip file; a file that is named is tried whatever its name."""
TEXT_SUFFIXES = frozenset({".txt", ".md"})
LARGEST_TEXT_BYTES = 1 << 20
NOT_READ = {
    ".snapshot": "a Qdrant snapshot holds RocksDB's own files; scroll the points into JSON instead",
    ".npy": "a .npy file needs ids: `unseen enrol NAME FILE.npy --ids FILE`, or enrol_vectors",
}


@dataclass(frozen=True)
class Choices:
    """How sources are read."""

    tags: tuple[str, ...] = ()
    """For every row."""
    root: Path | None = None
    """Where the pictures of manifests lie; None: where the manifest lies."""
    vector: str = "image"
    """Which vector is taken of an export that has several."""
    every_s: float = 1.0
    """Of a video, a frame is taken every so many seconds."""


def read_sources(sources: Sequence[Path], choices: Choices) -> Brought:
    """Everything that the sources bring; raises InvalidInput before anything is enrolled."""
    videos = cache(VideoReader)  # one child for all of them, started when there is one
    brought = together([_read(source, choices, videos) for source in sources])
    if not brought.size:
        raise InvalidInput(
            f"nothing to enrol in {', '.join(map(str, sources))}; folders are searched for "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    _require_apart(brought)
    return brought


def _require_apart(brought: Brought) -> None:
    """Refuse what could only be enrolled in part, or row by row in the place of each other; raises InvalidInput."""
    if brought.vectors and (brought.pictures or brought.texts):
        raise InvalidInput(
            "got vectors and also pictures or texts; a collection takes the one or the other, so enrol them apart"
        )
    both = {record.id for _, record in brought.pictures} & {record.id for _, record in brought.texts} - {""}
    if both:
        raise InvalidInput(f"{len(both)} ids name a picture and a text; every row needs an id of its own")


def _read(source: Path, choices: Choices, videos: Callable[[], VideoReader]) -> Brought:
    kind = source.suffix.lower()
    if source.is_dir():
        if clip_retrieval.is_clip_retrieval(source):
            return clip_retrieval.read_clip_retrieval(source, choices.vector, choices.tags)
        return Brought([(path, Record(tags=choices.tags)) for path in images_in(source)])
    if kind in NOT_READ:
        raise InvalidInput(f"cannot enrol {source}: {NOT_READ[kind]}")
    if kind == ".json" or (kind in {".jsonl", ".ndjson"} and _is_points(source)):
        return qdrant.read_points(source, choices.vector, choices.tags)
    if kind in manifest.SUFFIXES:
        return manifest.read_manifest(source, choices.root, choices.tags)
    if kind == ".zip":
        return zipped.read_zip(source, IMAGE_SUFFIXES, choices.tags)
    if kind in video.SUFFIXES:
        return video.read_video(source, choices.every_s, videos(), choices.tags)
    if kind in TEXT_SUFFIXES:
        return Brought(texts=[(_text(source), Record(name=source.name, tags=choices.tags, link=str(source)))])
    return Brought([(source, Record(tags=choices.tags))])


def images_in(folder: Path) -> list[Path]:
    """Every image of a folder, at any depth, in order."""
    return sorted(one for one in folder.rglob("*") if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file())


def _is_points(source: Path) -> bool:
    """Whether the first line of a JSONL file is a reply or a point of Qdrant's, not a line of a manifest."""
    with manifest.opened(source) as file:
        line = file.readline(manifest.LARGEST_LINE_CHARACTERS + 1)
    if len(line) > manifest.LARGEST_LINE_CHARACTERS:
        return True  # a reply with a thousand points
    try:
        fields = read_json(line)
    except ValueError:
        return False  # whoever reads it as a manifest says what is wrong
    return isinstance(fields, dict) and qdrant.is_points(fields)


def _text(source: Path) -> str:
    try:
        if source.stat().st_size > LARGEST_TEXT_BYTES:
            raise InvalidInput(f"{source} has more than {LARGEST_TEXT_BYTES} bytes; cut it into parts")
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {source} as text; give a UTF-8 file") from error
