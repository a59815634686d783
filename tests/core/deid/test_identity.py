"""Covered faces against a face recogniser (dlib's ResNet) that knows where to look: bench/reidentify.py has the tables.

Three people are enough to see that nothing of them is left under solid paint; how often the methods that leave
something are recognised takes the bench.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import _dlib_pybind11 as dlib  # what the package dlib-bin names as its own
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from unseen.deid.cover import covered
from unseen.deid.deidentify import deidentify
from unseen.deid.faces import Face, FaceFinder
from unseen.deid.settings import DeidSettings, Method
from unseen.embed.registry import default_registry
from unseen.pixels import Pixels

Vector = npt.NDArray[np.float64]
PHOTOS = Path(__file__).parents[3] / "examples" / "demo" / "photos"
PEOPLE = ("astronaut.jpg", "admiral.jpg", "cameraman.jpg")


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def recogniser() -> dlib.face_recognition_model_v1:
    package = find_spec("face_recognition_models")
    assert package is not None
    assert package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0]) / "models"
    return dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))


def photo(name: str) -> Pixels:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))


def other_shot(pixels: Pixels) -> Pixels:
    """The same face, mirrored, brighter and a little softer."""
    picture = Image.fromarray(pixels).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(ImageEnhance.Brightness(picture).enhance(1.15).filter(ImageFilter.GaussianBlur(0.7)))


def mirrored(face: Face, width: int) -> Face:
    left, top, right, bottom = face.box
    return Face((width - right, top, width - left, bottom), face.score)


def descriptor(recogniser: dlib.face_recognition_model_v1, pixels: Pixels, face: Face) -> Vector:
    """(128,) of what lies in the found box, and of nothing around it."""
    left, top, right, bottom = (round(side) for side in face.box)
    chip = Image.fromarray(pixels[top:bottom, left:right]).resize((150, 150), Image.Resampling.BICUBIC)
    return np.array(recogniser.compute_face_descriptor(np.ascontiguousarray(chip)))


@dataclass(frozen=True, eq=False)
class Person:
    """How the recogniser knows somebody, and another photograph of them with the place of the face in it."""

    known: Vector
    probe: Pixels
    place: Face


@pytest.fixture(scope="module")
def people(recogniser: dlib.face_recognition_model_v1, finder: FaceFinder) -> list[Person]:
    found = [(photo(name), finder.find(photo(name))[0]) for name in PEOPLE]
    return [
        Person(descriptor(recogniser, pixels, face), other_shot(pixels), mirrored(face, pixels.shape[1]))
        for pixels, face in found
    ]


def distances(
    recogniser: dlib.face_recognition_model_v1, people: list[Person], cover: Callable[[Pixels, Face], Pixels]
) -> Vector:
    """(3, 3): every person's other photograph, covered, against every person as they are known."""
    probes = np.array([descriptor(recogniser, cover(one.probe, one.place), one.place) for one in people])
    return np.linalg.norm(probes[:, None] - np.array([one.known for one in people])[None], axis=2)


def blurred(radius_px: float) -> Callable[[Pixels, Face], Pixels]:
    return lambda pixels, _: np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius_px)))


def ours(settings: DeidSettings) -> Callable[[Pixels, Face], Pixels]:
    return lambda pixels, face: covered(pixels, [face], settings)


@pytest.mark.parametrize(("radius_px", "known"), [(0.0, 3), (2.0, 3), (6.0, 2)])
def test_the_recogniser_knows_people_who_are_not_covered_or_only_blurred(
    recogniser: dlib.face_recognition_model_v1, people: list[Person], radius_px: float, known: int
) -> None:
    """Or the next tests could not fail. The last of the three, in profile, is lost under the strongest blur."""
    named = distances(recogniser, people, blurred(radius_px)).argmin(axis=1)
    assert (named[:known] == np.arange(known)).all()


def test_solid_paint_leaves_a_recogniser_nothing_to_tell_people_apart(
    recogniser: dlib.face_recognition_model_v1, people: list[Person]
) -> None:
    """Every covered face has the same distance to each known one, so naming it is guessing: chance is all there is."""
    assert np.ptp(distances(recogniser, people, ours(DeidSettings())), axis=0).max() < 1e-6


@pytest.mark.parametrize("method", [Method.BLUR, Method.MOSAIC])
def test_a_face_of_a_few_cells_is_named_no_better_than_by_guessing(
    recogniser: dlib.face_recognition_model_v1, people: list[Person], method: Method
) -> None:
    """Three people, so guessing names one in three; 30 coverings of them."""
    cover = ours(DeidSettings(method=method))
    named = [distances(recogniser, people, cover).argmin(axis=1) for _ in range(10)]
    assert (np.array(named) == np.arange(3)).mean() < 0.5


def test_the_scene_is_found_again_although_the_faces_are_covered(finder: FaceFinder) -> None:
    """Among all photographs of the demo, the nearest to the covered one is the same scene as it was."""
    embedder = default_registry().load("bundled")
    gallery = sorted(PHOTOS.glob("*.jpg"))
    vectors = np.array([embedder.image(photo(path.name)) for path in gallery])
    for name in PEOPLE:
        painted, report = deidentify(photo(name), finder)
        assert report.faces_covered >= 1
        likeness = vectors @ embedder.image(painted)
        assert gallery[int(likeness.argmax())].name == name
    embedder.close()
