from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from unseen.deid.cover import FILL
from unseen.deid.deidentify import MOST_PASSES, deidentify
from unseen.deid.faces import Face, FaceFinder
from unseen.errors import ImageRefused

Pixels = npt.NDArray[np.uint8]
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
    _, report = deidentify(np.asarray(photo("astronaut.jpg")), finder)
    assert report.faces_covered == 1
    assert report.passes == 1
    assert report.detector_sha256 == finder.detector_sha256
    plain = json.loads(json.dumps(report.as_dict()))
    assert plain["faces"][0]["score"] == pytest.approx(0.91, abs=0.02)
    assert plain["threshold"] == 0.2


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

    def find(self, pixels: Pixels) -> list[Face]:
        self.times -= 1
        return [Face((1.0, 1.0, 4.0, 4.0), 0.5)] if self.times >= 0 else []


def test_a_face_that_stays_findable_stops_the_picture() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    assert deidentify(pixels, Stubborn(MOST_PASSES))[1].passes == MOST_PASSES
    with pytest.raises(ImageRefused, match="still found"):
        deidentify(pixels, Stubborn(MOST_PASSES + 1))


def test_an_error_of_the_detector_is_passed_on_as_a_refusal() -> None:
    class Failing(FaceFinder):
        def find(self, pixels: Pixels) -> list[Face]:
            raise ImageRefused("the face finder failed")

    with pytest.raises(ImageRefused):
        deidentify(np.zeros((20, 20, 3), np.uint8), Failing())
