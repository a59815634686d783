from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.core.deid.text.lettering import ink_of, page, write
from unseen.deid.text import finder as module
from unseen.deid.text.finder import THOROUGH_LOOKS, Look, TextFinder
from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen.pixels import Pixels

PHOTOS = Path(__file__).parents[4] / "examples" / "demo" / "photos"
CT = Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm"


@pytest.fixture(scope="module")
def finder() -> TextFinder:
    return TextFinder()


def inside(lines: list[module.Line], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.bool_)
    for line in lines:
        left, top, right, bottom = line.box
        mask[top:bottom, left:right] |= line.inside
    return mask


@pytest.mark.parametrize("size_px", [10, 14, 24, 60])
@pytest.mark.parametrize(("level", "colour"), [(0, (255, 255, 255)), (210, (0, 0, 0)), (90, (140, 140, 140))])
def test_every_pixel_of_a_printed_line_is_inside_what_is_found(
    finder: TextFinder, size_px: int, level: int, colour: tuple[int, int, int]
) -> None:
    picture = page(level=level)
    write(picture, "DOE^JANE 4711", 20, 60, size_px, colour)
    ink = ink_of(picture, page(level=level))
    lines = finder.find([np.asarray(picture)])
    assert lines
    assert not (ink & ~inside(lines, ink.shape)).any()


@pytest.mark.parametrize("turn", [90, 180, 270, 12])
def test_turned_lines_are_found(finder: TextFinder, turn: int) -> None:
    picture = page(384, 384)
    write(picture, "DOE^JANE 4711", 100, 180)
    turned = picture.rotate(turn, resample=Image.Resampling.BICUBIC)
    ink = np.asarray(turned).max(axis=2) > 100
    assert not (ink & ~inside(finder.find([np.asarray(turned)]), ink.shape)).any()


def ct_slice() -> Pixels:
    values = pydicom.dcmread(CT).pixel_array.astype(float)
    grey = ((values - values.min()) * 255 / np.ptp(values)).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((512, 512)).convert("RGB"))


def test_a_picture_without_text_has_no_line_because_of_the_strip_under_it(
    finder: TextFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finder.find([ct_slice()]) == []
    bare = TextFinder()
    monkeypatch.setitem(bare.__dict__, "_strip", np.zeros((0, module.TILE_PX, 3), np.float32))
    assert bare.find([ct_slice()]) != []


@pytest.mark.parametrize("name", ["dahlia.jpg", "blossom.jpg"])
def test_photographs_without_text_have_no_line(finder: TextFinder, name: str) -> None:
    assert finder.find([np.asarray(Image.open(PHOTOS / name).convert("RGB"))[:400, :400]]) == []


def test_text_that_one_view_hides_another_shows(finder: TextFinder) -> None:
    empty, picture = page(), page()
    write(picture, "DOE^JANE", 30, 100)
    assert finder.find([np.asarray(empty)]) == []
    assert len(finder.find([np.asarray(empty), np.asarray(picture)])) == 1


def test_a_look_in_bands_shows_each_brightness_alone_and_finds_print(finder: TextFinder) -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    bands = np.concatenate(module._in_bands(levels), axis=2)[0]
    assert bands.shape == (256, module.BANDS)
    assert (bands.max(axis=1) >= 250).all(), "every brightness is white in some band"
    assert ((bands > 0).sum(axis=1) <= 3).all(), "and dark in all but its neighbours"
    picture = page(level=90)
    write(picture, "DOE^JANE 4711", 40, 80, 20, (130, 130, 130))
    ink = ink_of(picture, page(level=90))
    found = inside(finder.find([np.asarray(picture)], looks=THOROUGH_LOOKS[:1]), ink.shape)
    assert (ink & found).sum() > 0.95 * ink.sum()


def test_faint_letters_of_ten_pixels_beside_a_strong_edge_are_found(
    finder: TextFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dark coat before a bright sky: evened out over too large a place, the edge is all that is left."""
    picture = page(256, 256, level=200)
    picture.paste((12, 12, 12), (0, 0, 140, 256))
    empty = picture.copy()
    width = write(picture.copy(), "Jane", 0, 120, 10)[2]
    write(picture, "Jane", 138 - width, 120, 10, (40, 40, 40))
    noise = np.random.default_rng(3).normal(0, 3, (256, 256, 3))
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    ink = ink_of(picture, empty)
    assert not (ink & ~inside(finder.find([pixels]), ink.shape)).any()
    monkeypatch.setattr(module, "EVEN_RADIUS_PX", 2 * module.EVEN_RADIUS_PX)
    assert (ink & ~inside(finder.find([pixels]), ink.shape)).any()


def speckle() -> Pixels:
    """Grain as coarse as thin letters, as an ultrasound has it."""
    weights = np.exp(-0.5 * (np.arange(-8, 9) / 2.0) ** 2)
    grain = np.random.default_rng(2).normal(0, 1, (192, 256))
    for axis in (0, 1):
        grain = np.apply_along_axis(np.convolve, axis, grain, weights, "same")
    grey = np.clip(60 * np.exp(0.45 * grain / grain.std()), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_speckle_between_painted_places_is_no_print_because_paint_is_shown_with_grain(finder: TextFinder) -> None:
    painted = np.zeros((192, 256), np.bool_)
    for top in (30, 70, 110, 150):
        painted[top : top + 18, 20:230] = True
    smooth = [replace(look, grained=False) for look in THOROUGH_LOOKS]
    assert finder.find([speckle()], painted, looks=THOROUGH_LOOKS) == []
    assert finder.find([speckle()], painted, looks=smooth) != []


def test_the_other_half_of_a_name_in_speckle_is_found_beside_paint_that_is_shown_with_grain(finder: TextFinder) -> None:
    empty = Image.fromarray(speckle())
    picture = empty.copy()
    left, top, right, bottom = write(picture, "DOE^JANE 4711", 40, 80, 16, (210, 210, 210))
    painted = np.zeros((192, 256), np.bool_)
    painted[top - 6 : bottom + 6, left - 6 : (left + right) // 2] = True
    ink = ink_of(picture, empty) & ~painted
    found = inside(finder.find([np.asarray(picture)], painted, looks=THOROUGH_LOOKS), ink.shape)
    assert ink.sum() > 100
    assert not (ink & ~found).any()


def test_nothing_is_found_in_painted_places_and_lines_beside_them_are(finder: TextFinder) -> None:
    picture = page(level=120)
    write(picture, "DOE^JANE", 30, 40)
    write(picture, "4711-0815", 30, 180)
    pixels = np.asarray(picture)
    painted = np.zeros(pixels.shape[:2], np.bool_)
    painted[30:80, 10:220] = True
    lines = finder.find([pixels], painted)
    assert [line.box[1] > 90 for line in lines] == [True]


def test_a_large_picture_is_looked_at_in_pieces_and_lines_across_their_edges_are_whole(finder: TextFinder) -> None:
    picture = page(200, 2300)
    write(picture, "DOE^JANE 4711-0815 1970-01-02 St. Mary", 820, 80, 28)
    ink = ink_of(picture, page(200, 2300))
    quick = TextFinder(looks=[Look(1.0)])
    assert not (ink & ~inside(quick.find([np.asarray(picture)]), ink.shape)).any()


def test_pieces_cover_a_side_and_overlap() -> None:
    for side in (1, 1024, 1025, 1900, 2048, 5000):
        pieces = module._pieces(side)
        assert pieces[0].start == 0
        assert pieces[-1].stop == side
        assert all(piece.stop - piece.start <= module.TILE_PX for piece in pieces)
        assert all(b.start <= a.stop - module.OVERLAP_PX for a, b in pairwise(pieces))


def test_tiny_pictures_are_looked_at(finder: TextFinder) -> None:
    assert finder.find([np.zeros((1, 1, 3), np.uint8)]) == []


@pytest.mark.parametrize(
    "views",
    [
        [],
        [np.zeros((5, 5), np.uint8)],
        [np.zeros((5, 5, 3), np.uint16)],
        [np.zeros((0, 5, 3), np.uint8)],
        [np.zeros((5, 5, 3), np.uint8), np.zeros((5, 6, 3), np.uint8)],
    ],
)
def test_other_arrays_are_refused(finder: TextFinder, views: list[Any]) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        finder.find(views)


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"threshold": 1}, {"looks": []}, {"looks": [Look(5.0)]}])
def test_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration):
        TextFinder(**wrong)


class Network:
    """Answers what a broken network might."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def run(self, *_: object) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer", [RuntimeError("no memory"), [np.full((1, 1, 96, 32), np.nan)], [np.zeros((1, 1, 3, 3))]]
)
def test_a_network_that_fails_refuses_the_picture(answer: Any) -> None:
    broken = TextFinder()
    broken.__dict__["_network"] = Network(answer)
    with pytest.raises(ImageRefused, match="text finder"):
        broken.find([np.zeros((32, 32, 3), np.uint8)])
