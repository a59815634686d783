from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.deid.text.finder import Line
from unseen.deid.text.patches import Mask, Patch
from unseen.deid.text.places import KnownPlaces, meets, paint

HEIGHT_PX, WIDTH_PX = 40, 60
NOTHING = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)


def line(left: int, top: int, right: int, bottom: int) -> Line:
    return Line((left, top, right, bottom), 0.9, np.ones((bottom - top, right - left), np.bool_))


def pixels_of(mask: Mask, left: int = 0, top: int = 0) -> list[tuple[int, int]]:
    return [(int(x) + left, int(y) + top) for y, x in zip(*np.nonzero(mask), strict=True)]


def steps(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> int:
    """Fewest steps, diagonals counted as one, from a pixel of one to a pixel of the other."""
    return min((max(abs(x - a), abs(y - b)) for x, y in one for a, b in two), default=HEIGHT_PX + WIDTH_PX)


def height(one: Line) -> int:
    return Patch(one.box, one.inside).thickness


def going_on_plainly(painted: Mask, known: list[Line], lines: list[Line]) -> set[int]:
    """Places in ``lines`` of those that go on, each pixel held against each."""
    places = {at: pixels_of(one.inside, *one.box[:2]) for at, one in enumerate(lines)}
    held = [(pixels_of(painted), 0), *((pixels_of(one.inside, *one.box[:2]), height(one)) for one in known)]
    going = set[int]()
    while True:
        near = {
            at
            for at in places.keys() - going
            if any(steps(places[at], pixels) <= max(reach, height(lines[at])) for pixels, reach in held)
        }
        if not near:
            return going
        going |= near
        held += [(places[at], height(lines[at])) for at in near]


@st.composite
def some_lines(draw: st.DrawFn) -> list[Line]:
    """Slanted or upright, up to the edges of the picture."""
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        left, top = draw(st.integers(0, WIDTH_PX - 1)), draw(st.integers(0, HEIGHT_PX - 1))
        right = min(left + draw(st.integers(1, 16)), WIDTH_PX)
        bottom = min(top + draw(st.integers(1, 5)), HEIGHT_PX)
        inside = np.ones((bottom - top, right - left), np.bool_)
        if draw(st.booleans()):
            inside = np.tri(*inside.shape, dtype=np.bool_)
        lines.append(Line((left, top, right, bottom), 0.9, inside))
    return lines


@settings(max_examples=60, deadline=None)
@given(known=some_lines(), lines=some_lines(), painted=some_lines())
def test_lines_that_go_on_are_those_of_every_pixel_held_against_every_pixel(
    known: list[Line], lines: list[Line], painted: list[Line]
) -> None:
    mask = NOTHING.copy()
    for one in painted:
        paint(mask, one)
    places = KnownPlaces(mask)
    for one in known:
        places.add(one)
    found = places.going_on(lines)
    plainly = going_on_plainly(mask, known, lines)
    assert {at for at, one in enumerate(lines) if any(one is other for other in found)} == plainly
    assert len(found) == len(plainly)


@pytest.mark.parametrize(("gap", "goes_on"), [(0, True), (10, True), (11, False)])
def test_a_thin_piece_goes_on_within_the_height_of_the_line_before_it(gap: int, goes_on: bool) -> None:
    places = KnownPlaces(NOTHING)
    places.add(line(5, 10, 30, 20))
    thin = line(29 + gap, 14, 31 + gap, 17)
    assert places.going_on([thin]) == [thin][: int(goes_on)]


def test_asking_what_goes_on_adds_no_place() -> None:
    places = KnownPlaces(NOTHING)
    places.add(line(0, 0, 10, 4))
    step, last = line(12, 0, 22, 4), line(25, 0, 35, 4)
    assert places.going_on([last, step]) == [step, last]
    assert places.going_on([last]) == []


def test_a_line_meets_a_mask_by_its_pixels_and_not_by_its_box() -> None:
    mask = NOTHING.copy()
    mask[0, 3] = True
    corner = Line((0, 0, 4, 4), 0.9, np.tri(4, dtype=np.bool_))
    assert not meets(corner, mask)
    mask[3, 0] = True
    assert meets(corner, mask)
