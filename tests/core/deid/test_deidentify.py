from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.counted_keystream import counted_keystream
from unseen.deid import cover
from unseen.deid.cover import FILL
from unseen.deid.deidentify import MOST_PASSES, deidentify
from unseen.deid.faces import Face, FaceFinder
from unseen.deid.report import Left
from unseen.deid.settings import DeidSettings, Method, Shape, Turned
from unseen.errors import ImageRefused
from unseen.pixels import Pixels

PHOTOS = Path(__file__).parents[3] / "examples" / "demo" / "photos"


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def photo(name: str) -> Image.Image:
    return Image.open(PHOTOS / name).convert("RGB")


def harder() -> Iterator[Pixels]:
    """The demo's faces: large, small, dark, mirrored, tilted, cut by the edge, several at once."""
    for name in ("astronaut.jpg", "admiral.jpg", "cameraman.jpg"):
        whole = photo(name)
        yield np.asarray(whole)
        yield np.asarray(whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda value: value // 3))
        yield np.asarray(whole.rotate(20, fillcolor="white"))
        yield np.asarray(whole.resize((90, 100)))
        yield np.asarray(whole.crop((100, 110, 330, 330)))
    faces = [np.asarray(photo("astronaut.jpg").crop((150, 40, 300, 230)).resize(size)) for size in ((30, 38), (60, 76))]
    crowd = np.full((304, 480, 3), 128, np.uint8)
    for index, row in enumerate(range(0, 304 - 75, 76)):
        face = faces[index % 2]
        for column in range(0, 480 - face.shape[1] + 1, face.shape[1] + 20):
            crowd[row : row + face.shape[0], column : column + face.shape[1]] = face
    yield crowd


def test_no_covered_picture_shows_a_face_that_the_detector_finds(finder: FaceFinder) -> None:
    leaks = found = refused = 0
    for pixels in harder():
        try:
            painted, report = deidentify(pixels, finder)
        except ImageRefused:
            refused += 1
            continue
        found += report.faces_covered
        leaks += len(finder.find(painted))
        for face in report.faces:
            left, top, right, bottom = (round(side) for side in face.box)
            assert (painted[top:bottom, left:right] == FILL).all()
    assert leaks == 0
    assert found >= 45
    assert refused <= 1


def test_the_report_says_what_was_done(finder: FaceFinder) -> None:
    _, report = deidentify(np.asarray(photo("admiral.jpg")), finder)
    assert report.faces_covered == 1
    assert report.passes == 1
    assert report.detector_sha256 == finder.detector_sha256
    plain = json.loads(json.dumps(report.as_dict()))
    assert plain["faces"][0]["score"] == pytest.approx(0.90, abs=0.02)
    assert plain["settings"]["threshold"] == 0.22
    assert plain["size_px"] == [512, 600]
    assert plain["turned"] is True


def test_a_picture_without_faces_comes_back_unchanged(finder: FaceFinder) -> None:
    pixels = np.asarray(photo("tabby-cat.jpg"))
    painted, report = deidentify(pixels, finder)
    assert report.faces_covered == report.passes == 0
    assert (painted == pixels).all()


class Stubborn(FaceFinder):
    """Finds a face some more times than a detector should."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def find(self, pixels: Pixels, *, turned: bool = False) -> list[Face]:
        self.times -= 1
        return [Face((1.0, 1.0, 4.0, 4.0), 0.5)] if self.times >= 0 else []


def test_a_face_that_stays_findable_stops_the_picture() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    assert deidentify(pixels, Stubborn(MOST_PASSES))[1].passes == MOST_PASSES
    with pytest.raises(ImageRefused, match="still found"):
        deidentify(pixels, Stubborn(MOST_PASSES + 1))


def test_an_error_of_the_detector_is_passed_on_as_a_refusal() -> None:
    class Failing(FaceFinder):
        def find(self, pixels: Pixels, *, turned: bool = False) -> list[Face]:
            raise ImageRefused("the face finder failed")

    with pytest.raises(ImageRefused):
        deidentify(np.zeros((20, 20, 3), np.uint8), Failing())


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("shape", Shape)
def test_every_method_and_shape_hides_the_face_from_the_detector(
    finder: FaceFinder, method: Method, shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cover, "keystream", counted_keystream())  # noise itself may look like a face, now and then
    settings = DeidSettings(method=method, shape=shape)
    for name in ("astronaut.jpg", "admiral.jpg"):
        pixels = np.asarray(photo(name))
        painted, report = deidentify(pixels, finder, settings)
        assert report.faces_covered >= 1
        assert finder.find(painted, turned=True) == []
        outside = np.ones(pixels.shape[:2], bool)
        for face in report.faces:
            left, top, right, bottom = (round(side) for side in face.box)
            rim_x, rim_y = right - left, bottom - top
            outside[max(0, top - rim_y) : bottom + rim_y, max(0, left - rim_x) : right + rim_x] = False
        assert (painted[outside] == pixels[outside]).all()


def test_faces_outside_the_wanted_sizes_are_left_and_reported(finder: FaceFinder) -> None:
    pixels = np.asarray(photo("astronaut.jpg"))
    for settings, why in (
        (DeidSettings(smallest_face=0.5), Left.TOO_SMALL),
        (DeidSettings(largest_face=0.1), Left.TOO_LARGE),
        (DeidSettings(never_cover=((0.3, 0.1, 0.6, 0.4),)), Left.NEVER),
    ):
        same, report = deidentify(pixels, finder, settings)
        assert [reason for _, reason in report.left] == [why]
        assert report.faces_covered == 0
        assert (same == pixels).all()
        assert report.as_dict()["left"][0]["reason"] == why.value
    elsewhere = DeidSettings(never_cover=((0.7, 0.7, 1, 1),), smallest_face=0.1, largest_face=0.9)
    assert deidentify(pixels, finder, elsewhere)[1].faces_covered == 1


def test_regions_are_covered_whatever_is_found_and_nobody_is_found_in_them(finder: FaceFinder) -> None:
    pixels = np.asarray(photo("astronaut.jpg"))
    settings = DeidSettings(always_cover=((0.25, 0.0, 0.65, 0.45), (0, 0.9, 1, 1)))
    painted, report = deidentify(pixels, finder, settings)
    assert report.faces_covered == 0
    assert (painted[: round(0.45 * 512), round(0.25 * 512) : round(0.65 * 512)] == FILL).all()
    assert (painted[461:] == FILL).all()


def test_turned_faces_are_looked_for_where_nobody_says_which_side_is_up(finder: FaceFinder) -> None:
    class Asked(FaceFinder):
        def find(self, pixels: Pixels, *, turned: bool = False) -> list[Face]:
            asked.append(turned)
            return []

    asked: list[bool] = []
    cases = [(turned, upright) for turned in Turned for upright in (False, True)]
    for turned, upright in cases:
        deidentify(np.zeros((20, 20, 3), np.uint8), Asked(), DeidSettings(turned=turned), upright=upright)
    assert {case for case, looked in zip(cases, asked, strict=True) if looked} == {
        (Turned.AUTO, False),
        (Turned.ALWAYS, False),
        (Turned.ALWAYS, True),
    }


def test_a_face_found_again_around_its_cover_counts_once(finder: FaceFinder) -> None:
    _, report = deidentify(np.asarray(photo("astronaut.jpg")), finder)
    again = report.faces[0]
    twice = replace(
        report, faces=(again, replace(again, box=(again.box[0] - 9, *again.box[1:])), Face((0, 0, 9, 9), 0.5))
    )
    assert report.faces_covered == 1
    assert (twice.faces_covered, replace(report, faces=()).faces_covered) == (2, 0)
