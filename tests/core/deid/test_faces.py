from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from unseen.deid.boxes import overlap
from unseen.deid.faces import Face, FaceFinder
from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen.pixels import Pixels

PHOTOS = Path(__file__).parents[3] / "examples" / "demo" / "photos"
DETECTOR_SHA256 = "5f386a786d3316c09ee403ccc3bcf39dd90cfae9d5ff9725cf9df71fbe7bf3a2"
KNOWN = {
    "astronaut.jpg": (0.91, (174, 69, 275, 206)),
    "admiral.jpg": (0.90, (171, 125, 352, 343)),
    "cameraman.jpg": (0.88, (196, 114, 262, 197)),
}
WITHOUT_FACES = ("tabby-cat.jpg", "espresso.jpg", "tiger-in-snow.jpg", "garden-path.jpg", "rocky-peaks.jpg", "drum.jpg")


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def photo(name: str) -> Pixels:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))


def same_place(face: Face, box: tuple[float, ...]) -> bool:
    return bool(overlap(np.array(face.box), np.array([box], float))[0] > 0.6)


def test_the_detector_is_the_pinned_one(finder: FaceFinder) -> None:
    assert finder.detector_sha256 == DETECTOR_SHA256


@pytest.mark.parametrize("name", KNOWN)
def test_known_faces_are_found_where_they_are(finder: FaceFinder, name: str) -> None:
    (face,) = finder.find(photo(name))
    score, box = KNOWN[name]
    assert face.score == pytest.approx(score, abs=0.02)
    assert same_place(face, box), face


@pytest.mark.parametrize("name", WITHOUT_FACES)
def test_pictures_without_faces_stay_as_they_are(finder: FaceFinder, name: str) -> None:
    assert finder.find(photo(name)) == []


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_faces_in_corners_are_found(finder: FaceFinder, corner: tuple[int, int]) -> None:
    face = photo("astronaut.jpg")[60:220, 160:290]
    canvas = np.full((400, 600, 3), 90, np.uint8)
    row, column = corner[0] * (400 - 160), corner[1] * (600 - 130)
    canvas[row : row + 160, column : column + 130] = face
    found = finder.find(canvas)
    assert found
    left, top, right, bottom = found[0].box
    assert 0 <= left < right <= 600
    assert 0 <= top < bottom <= 400
    assert same_place(found[0], (column + 14, row + 9, column + 115, row + 146))


def test_blurred_faces_that_fill_the_picture_are_found(finder: FaceFinder) -> None:
    one_look = FaceFinder(long_sides_px=(640,))
    missed = 0
    for name, (_, (left, top, right, bottom)) in KNOWN.items():
        rim_x, rim_y = (right - left) * 0.15, (bottom - top) * 0.15
        tight = (round(left + rim_x), round(top + rim_y), round(right - rim_x), round(bottom - rim_y))
        face = Image.fromarray(photo(name)).crop(tight).resize((25, 25))
        close_up = np.asarray(face.resize((300, 300), Image.Resampling.BICUBIC))
        assert finder.find(close_up), name
        missed += not one_look.find(close_up)
    assert missed >= 1


def test_turned_faces_are_found_in_the_right_place_when_asked(finder: FaceFinder) -> None:
    upright = photo("astronaut.jpg")[:300]
    (expected,) = finder.find(upright)
    assert expected.turn == 0
    for turn in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(upright, turn))
        # The plain way: paint the box into a mask, turn the mask, read the box back.
        mask = np.zeros(upright.shape[:2], bool)
        left, top, right, bottom = np.round(expected.box).astype(int)
        mask[top:bottom, left:right] = True
        rows, columns = np.nonzero(np.rot90(mask, turn))
        place = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        best = finder.find(turned, turned=True)[0]
        assert same_place(best, place), turn


def test_turned_looks_add_nothing_to_upright_portraits(finder: FaceFinder) -> None:
    for name in ("astronaut.jpg", "admiral.jpg"):
        assert finder.find(photo(name), turned=True) == finder.find(photo(name))


def test_small_faces_of_turned_pictures_are_found_although_the_strict_look_is_small(finder: FaceFinder) -> None:
    face = Image.fromarray(photo("astronaut.jpg")[60:210, 165:285])
    canvas = Image.new("RGB", (640, 480), (120, 110, 100))
    for at in range(12):
        small = face.resize((24, 30) if at else (96, 120), Image.Resampling.LANCZOS)
        canvas.paste(small, (20 + 150 * (at % 4), 20 + 150 * (at // 4)))
    turned = np.ascontiguousarray(np.rot90(np.asarray(canvas), 1))
    assert len(finder.find(turned)) < 12
    assert len(finder.find(turned, turned=True)) >= 12


@pytest.mark.parametrize("times", [12, 30])
def test_faces_in_the_dark_are_found(finder: FaceFinder, times: int) -> None:
    noise = np.random.default_rng(1).normal(0, 1, (512, 512, 3))
    dark = (photo("astronaut.jpg") / times + noise).round().clip(0, 255).astype(np.uint8)
    assert same_place(finder.find(dark)[0], KNOWN["astronaut.jpg"][1])


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (31, 33), (3, 2000)])
def test_odd_sizes_are_looked_at(finder: FaceFinder, size: tuple[int, int]) -> None:
    assert finder.find(np.full((*size, 3), 200, np.uint8)) == []


def test_a_detector_that_fails_stops_the_picture() -> None:
    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("out of memory")

    class NotANumber:
        def run(self, *_: object) -> list[npt.NDArray[np.float32]]:
            return [np.full((1, channels, 8, 8), np.nan, np.float32) for channels in (1, 2, 2)]

    for network in (Broken(), NotANumber()):
        finder = FaceFinder()
        finder.__dict__["_network"] = network
        with pytest.raises(ImageRefused):
            finder.find(np.zeros((10, 10, 3), np.uint8))


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))],
)
def test_what_is_no_picture_is_refused(finder: FaceFinder, pixels: Pixels) -> None:
    with pytest.raises(InvalidInput):
        finder.find(pixels)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"long_sides_px": (640, 8)},
        {"long_sides_px": ()},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidConfiguration):
        FaceFinder(**wrong)  # type: ignore[arg-type]
