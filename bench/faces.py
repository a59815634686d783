"""How many faces are covered, how much else is, and how fast: the tables of docs/deidentification.md.

    python -m bench.faces --packages bench-out/packages --json bench-out/faces.json            about five minutes
    python -m bench.faces --only speed                                                         half a minute

A face counts as covered when 95 % of its middle (seven tenths of its box, either way: eyes, nose and mouth) is painted.
Photographs and boxes: bench/face_photos.json. Nothing here was used to train anything; the numbers in
unseen.deid.faces were chosen on these photographs, so a fresh set will do a little worse.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from bench.face_photos import DEMO, Box, Packages, Photo, opened
from unseen.deid.cover import covered
from unseen.deid.deidentify import deidentify
from unseen.deid.faces import FaceFinder
from unseen.deid.settings import DeidSettings, Turned
from unseen.errors import ImageRefused
from unseen.pixels import Pixels
from unseen_client.deid.photo import PhotoOutput, PhotoPipeline

Figures = dict[str, Any]
MIDDLE, PAINTED = 0.7, 0.95
MOSAIC_PX = (640, 480)
SMALL_PX = (24, 18, 14, 12)
DARKER = (4, 12, 20, 30)
SHARES = (1, 0.75, 0.5, 0.2)
LFW_FACES = 40
SPEED_SIDE_PX, SPEED_PICTURES, CORES = 1280, 72, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("bench-out/packages"))
    parser.add_argument("--only", choices=("found", "speed"))
    parser.add_argument("--rows", nargs="*", default=[], help="only rows whose names hold one of these words")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    figures: Figures = {}
    if wanted.only != "speed":
        figures |= found(Packages(wanted.packages), wanted.rows)
    if wanted.only != "found":
        figures |= speed()
    for name, row in figures.items():
        print(f"| {name} | {cells(row)} |", *row.get("missed", ()), *row.get("names", ()))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))


def cells(row: Figures) -> str:
    """One row of a Markdown table."""
    if "per_s" in row:
        busy = f"{row['computing_ms']:.0f} ms of processor time each"
        return (
            f"{row['per_s']:.1f} | {row['pictures']} pictures of {row['side_px']} px, {row['refused']} refused, {busy}"
        )
    hit, whole = (row["covered"], row["faces"]) if "faces" in row else (row["with_a_cover"], row["pictures"])
    refused = f"; {row['pictures_refused']} refused" if row.get("pictures_refused") else ""
    return f"{hit} of {whole} | {100 * row['share']:.1f} %{refused}"


# ---- what is found ---------------------------------------------------------------------------------------------------


def found(packages: Packages, words: Sequence[str]) -> Figures:
    """Every row, several at once; each draws from a generator of its own."""
    finder = FaceFinder()
    never, always = DeidSettings(turned=Turned.NEVER), DeidSettings(turned=Turned.ALWAYS)
    closely = DeidSettings(turned=Turned.NEVER, long_sides_px=(1280, 640, 192))
    closer = FaceFinder(long_sides_px=closely.long_sides_px)
    photos, others = list(packages.photos_with_faces()), list(packages.photos_without_faces())
    small = packages.small_faces[:LFW_FACES]
    rows: dict[str, Callable[[], Figures]] = {
        "photographs, upright passes": partial(recall, finder, never, photos),
        "photographs, with turned passes": partial(recall, finder, always, photos),
        "turned by 90 degrees, upright passes only": partial(recall, finder, never, turned_by(photos, 1)),
        **{f"turned by {90 * n} degrees": partial(recall, finder, always, turned_by(photos, n)) for n in (1, 2, 3)},
        **{
            f"faces of {size} px in 640 x 480": partial(recall, finder, never, mosaics(photos, size))
            for size in SMALL_PX
        },
        "faces of 12 px, looked at in 1280 px too": partial(recall, closer, closely, mosaics(photos, 12)),
        **{f"{n} times darker, with sensor noise": partial(recall, finder, never, darker(photos, n)) for n in DARKER},
        "blurred by 2 px and 4 times darker": partial(recall, finder, never, darker(blurred(photos), 4)),
        **{
            f"lfw_subset, face {one:g} of the side": partial(recall, finder, never, framed(small, one))
            for one in SHARES
        },
        "no face: false covers, upright passes": partial(false_covers, finder, never, others),
        "no face: false covers, with turned passes": partial(false_covers, finder, always, others),
        "no face, 20 times darker: false covers": partial(false_covers, finder, never, darker(others, 20)),
    }
    rows = {name: row for name, row in rows.items() if not words or any(word in name for word in words)}
    with ThreadPoolExecutor(CORES) as pool:
        return dict(zip(rows, pool.map(lambda row: row(), rows.values()), strict=True))


def recall(finder: FaceFinder, settings: DeidSettings, photos: Iterable[Photo]) -> Figures:
    """Of all faces, how many are covered; pictures that were refused count with neither."""
    hit = whole = refused = 0
    missed = []
    for photo in photos:
        try:
            _, report = deidentify(photo.pixels, finder, settings)
        except ImageRefused:
            refused += 1
            continue
        paint = covered(np.zeros_like(photo.pixels) + np.uint8(1), report.faces, settings)[..., 0] == 0
        shown = [box for box in photo.faces if not is_covered(paint, box)]
        whole, hit = whole + len(photo.faces), hit + len(photo.faces) - len(shown)
        missed += [photo.name] * len(shown)
    return {"covered": hit, "faces": whole, "share": hit / whole, "pictures_refused": refused, "missed": missed[:20]}


def is_covered(paint: Pixels, box: Box) -> bool:
    left, top, right, bottom = box
    rim_x, rim_y = (right - left) * (1 - MIDDLE) / 2, (bottom - top) * (1 - MIDDLE) / 2
    rows = slice(max(0, round(top + rim_y)), max(round(top + rim_y) + 1, round(bottom - rim_y)))
    columns = slice(max(0, round(left + rim_x)), max(round(left + rim_x) + 1, round(right - rim_x)))
    return bool(paint[rows, columns].mean() >= PAINTED)


def false_covers(finder: FaceFinder, settings: DeidSettings, photos: Iterable[Photo]) -> Figures:
    names, whole = [], 0
    for photo in photos:
        whole += 1
        try:
            _, report = deidentify(photo.pixels, finder, settings)
            covers = report.faces_covered
        except ImageRefused:
            covers = 1
        if covers:
            names.append(photo.name)
    return {"pictures": whole, "with_a_cover": len(names), "share": len(names) / whole, "names": names}


# ---- harder pictures -------------------------------------------------------------------------------------------------


def turned_by(photos: list[Photo], turn: int) -> Iterator[Photo]:
    return (rotated(photo, turn) for photo in photos)


def rotated(photo: Photo, turn: int) -> Photo:
    height, width = photo.pixels.shape[:2]
    faces = photo.faces
    for _ in range(turn):
        faces = tuple((top, width - right, bottom, width - left) for left, top, right, bottom in faces)
        width, height = height, width
    return Photo(photo.name, np.ascontiguousarray(np.rot90(photo.pixels, turn)), faces)


def mosaics(photos: list[Photo], size_px: int, seed: int = 1) -> Iterator[Photo]:
    """Every face eight times in all, its box ``size_px`` tall, in rows on a plain ground with what surrounds it."""
    tiles = [scaled(photo, box, size_px) for photo in photos for box in photo.faces]
    order = np.random.default_rng(seed).permutation(8 * len(tiles))
    queue = [tiles[at % len(tiles)] for at in order]
    width, height = MOSAIC_PX
    while queue:
        canvas, faces = Image.new("RGB", MOSAIC_PX, (120, 110, 100)), []
        x = y = tallest = 0
        while queue:
            tile, (left, top, right, bottom) = queue[-1]
            if x + tile.width > width:
                x, y, tallest = 0, y + tallest + 4, 0
            if y + tile.height > height:
                break
            queue.pop()
            canvas.paste(tile, (x, y))
            faces.append((x + left, y + top, x + right, y + bottom))
            x, tallest = x + tile.width + 4, max(tallest, tile.height)
        yield Photo(f"mosaic of {size_px} px", np.asarray(canvas), tuple(faces))


def scaled(photo: Photo, box: Box, size_px: int) -> tuple[Image.Image, Box]:
    """A face with half its size of surroundings on every side, its box ``size_px`` tall; and its box in that."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    area = (
        max(0.0, left - width / 2),
        max(0.0, top - height / 2),
        min(photo.pixels.shape[1], right + width / 2),
        min(photo.pixels.shape[0], bottom + height / 2),
    )
    scale = size_px / height
    size = (max(1, round((area[2] - area[0]) * scale)), max(1, round((area[3] - area[1]) * scale)))
    tile = Image.fromarray(photo.pixels).resize(size, Image.Resampling.LANCZOS, box=area)
    x, y = (left - area[0]) * scale, (top - area[1]) * scale
    return tile, (x, y, x + width * scale, y + height * scale)


def darker(photos: Iterable[Photo], times: int) -> Iterator[Photo]:
    rng = np.random.default_rng(times)
    for photo in photos:
        noisy = photo.pixels / times + rng.normal(0, 2, photo.pixels.shape)
        yield Photo(photo.name, noisy.round().clip(0, 255).astype(np.uint8), photo.faces)


def blurred(photos: Iterable[Photo]) -> Iterator[Photo]:
    for photo in photos:
        soft = Image.fromarray(photo.pixels).filter(ImageFilter.GaussianBlur(2))
        yield Photo(photo.name, np.asarray(soft), photo.faces)


def framed(faces: Pixels, share: float) -> Iterator[Photo]:
    """Faces of 25 x 25 pixels, enlarged, in the middle of a plain picture whose side they take ``share`` of."""
    for face in faces:
        side = round(300 * share)
        canvas = Image.new("RGB", (300, 300), (110, 110, 110))
        canvas.paste(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC), ((300 - side) // 2,) * 2)
        rim = (300 - side) / 2
        yield Photo("lfw", np.asarray(canvas), ((rim, rim, 300 - rim, 300 - rim),))


# ---- how fast --------------------------------------------------------------------------------------------------------


def speed() -> Figures:
    """Files in memory to files in memory, decoding in children and encoding included, on two threads."""
    files = [enlarged(path) for path in sorted((DEMO / "photos").glob("*.jpg"))]
    files = [files[at % len(files)] for at in range(SPEED_PICTURES)]
    rows: Figures = {}
    for turned in (Turned.NEVER, Turned.ALWAYS):
        pipeline = PhotoPipeline(DeidSettings(turned=turned), PhotoOutput(), CORES)
        through(pipeline.clean, files[:4])
        started, worked = time.perf_counter(), computing_s()
        refused = through(pipeline.clean, files)
        seconds = time.perf_counter() - started
        pipeline.close()  # only then the children's computing counts
        worked = computing_s() - worked
        name = "upright passes" if turned is Turned.NEVER else "with turned passes"
        rows[f"images per second on {CORES} threads, {name}"] = {
            "per_s": len(files) / seconds,
            "computing_ms": 1000 * worked / len(files),
            "pictures": len(files),
            "refused": refused,
            "side_px": SPEED_SIDE_PX,
        }
    return rows


def computing_s() -> float:
    """Seconds of processor time of this process and of the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def enlarged(path: Path) -> bytes:
    """A photograph of the demo as a JPEG whose long side has SPEED_SIDE_PX."""
    picture = Image.fromarray(opened(path.read_bytes()))
    scale = SPEED_SIDE_PX / max(picture.size)
    buffer = BytesIO()
    picture.resize((round(picture.width * scale), round(picture.height * scale))).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def through(clean: Callable[[bytes], object], files: list[bytes]) -> int:
    def refused(data: bytes) -> bool:
        try:
            clean(data)
        except ImageRefused:
            return True
        return False

    with ThreadPoolExecutor(CORES) as pool:
        return sum(pool.map(refused, files))


if __name__ == "__main__":
    main()
