"""What the demo searches: the photographs of the repository with their fixed right answers, or a folder of your own."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from unseen.errors import InvalidInput

REPOSITORY_FOLDER = Path(__file__).parents[3] / "examples" / "demo"
"""Beside the source code; an installed package does not carry it."""
PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
MOST_OWN_QUERIES = 8
CROP = (0.1, 0.05, 0.85, 0.8)
"""Left, top, right, bottom of a crop of one's own picture, as shares of its size."""


@dataclass(frozen=True)
class Query:
    """A query with the ids that answer it, fixed before the demo runs."""

    expected: tuple[str, ...]
    text: str = ""
    picture: Path | None = None
    how: str = ""
    """How the picture differs from the expected one."""

    @property
    def label(self) -> str:
        return f"“{self.text}”" if self.picture is None else self.picture.stem


@dataclass(frozen=True)
class Material:
    """Photographs with ids and captions, and queries with answers."""

    photographs: dict[str, Path]
    captions: dict[str, str]
    queries: tuple[Query, ...]


def bundled(folder: Path = REPOSITORY_FOLDER) -> Material:
    """The repository's photographs; raises InvalidInput where there are none, such as in an installed package."""
    try:
        with (folder / "ORIGINS.csv").open(encoding="utf-8", newline="") as file:
            origins = list(csv.DictReader(file))
        fixed = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            "the demo's photographs lie in the repository, not in the installed package; give --images FOLDER, or "
            "clone the repository and run `make demo`"
        ) from error
    enrolled = {Path(row["file"]).stem: row for row in origins if row["file"].startswith("photos/")}
    pictures = [Query(tuple(q["expected"]), picture=folder / q["picture"], how=q["how"]) for q in fixed["pictures"]]
    words = [Query(tuple(q["expected"]), text=q["text"]) for q in fixed["words"]]
    return Material(
        {row: folder / origin["file"] for row, origin in enrolled.items()},
        {row: origin["caption"] for row, origin in enrolled.items()},
        (*pictures, *words),
    )


def your_own(folder: Path, scratch: Path) -> Material:
    """Every picture under ``folder``; some are looked up by a crop of themselves, kept in ``scratch``."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder; give one that holds pictures")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_ENDINGS and path.is_file())
    if not files:
        raise InvalidInput(f"{folder} holds no pictures ({', '.join(sorted(PICTURE_ENDINGS))}); give one that does")
    photographs = {str(path.relative_to(folder)): path for path in files}
    every = max(1, len(photographs) // MOST_OWN_QUERIES)
    chosen = list(photographs.items())[::every][:MOST_OWN_QUERIES]
    queries = [_crop_of(row, path, scratch / f"query-{number}.jpg") for number, (row, path) in enumerate(chosen)]
    return Material(photographs, dict.fromkeys(photographs, ""), tuple(query for query in queries if query))


def _crop_of(row: str, path: Path, target: Path) -> Query | None:
    """A query that crops one picture; None for a file that does not decode, which enrolment will report."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            box = (int(CROP[0] * width), int(CROP[1] * height), int(CROP[2] * width), int(CROP[3] * height))
            image.convert("RGB").crop(box).save(target, quality=85)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return Query((row,), picture=target, how="a crop of itself")
