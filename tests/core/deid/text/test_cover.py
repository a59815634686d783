from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.core.deid.text.lettering import ink_of, page, write
from unseen.deid.text.cover import MOST_PASSES, cover_text
from unseen.deid.text.draw import drawn_lines
from unseen.deid.text.finder import Line, Look, TextFinder
from unseen.deid.text.patches import Mask
from unseen.deid.text.reader import Reading, TextReader
from unseen.deid.text.report import TextReport
from unseen.errors import ImageRefused
from unseen.pixels import Pixels

Box: TypeAlias = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def finder() -> TextFinder:
    return TextFinder()


def two_lines() -> tuple[Image.Image, Image.Image, Image.Image]:
    """A picture with a name and a mark, and each alone."""
    both, name, mark = page(level=30), page(level=30), page(level=30)
    for picture in (both, name):
        write(picture, "DOE^JANE 4711-0815", 30, 40)
    for picture in (both, mark):
        write(picture, "5.0 cm", 30, 180)
    return both, name, mark


@pytest.fixture(scope="module")
def covered_lines(finder: TextFinder) -> tuple[Pixels, Pixels, TextReport]:
    """The picture with both lines, what it became, and the report."""
    pixels = np.asarray(two_lines()[0])
    return pixels, *cover_text(pixels, finder)


def test_all_text_is_black_and_everything_else_is_as_it_was(
    covered_lines: tuple[Pixels, Pixels, TextReport],
) -> None:
    pixels, covered, report = covered_lines
    both, _, _ = two_lines()
    changed = (covered != pixels).any(axis=2)
    ink = ink_of(both, page(level=30))
    assert not covered[ink].any()
    assert not covered[changed].any()
    assert 0 < changed.mean() < 0.25
    assert report.lines_covered == 2
    np.testing.assert_array_equal(pixels, np.asarray(both), "the input is left as it is")


def test_technical_marks_stay_when_they_are_kept_and_names_do_not(finder: TextFinder) -> None:
    both, name, mark = two_lines()
    covered, report = cover_text(np.asarray(both), finder, TextReader(), keep_marks=True)
    assert not covered[ink_of(name, page(level=30))].any()
    assert (covered[ink_of(mark, page(level=30))] == np.asarray(both)[ink_of(mark, page(level=30))]).all()
    assert (report.lines_covered, report.marks_kept) == (1, 1)


def test_the_report_is_json_and_holds_no_letter_of_what_was_covered(
    covered_lines: tuple[Pixels, Pixels, TextReport],
) -> None:
    _, _, report = covered_lines
    text = json.dumps(report.as_dict())
    assert "DOE" not in text
    assert "4711" not in text
    assert report.passes >= 1


class Insistent(TextFinder):
    """Finds a line in the same place however often it is painted."""

    def find(
        self, views: Sequence[Pixels], painted: Mask | None = None, *, looks: Sequence[Look] | None = None
    ) -> list[Line]:
        self.__dict__["looks_made"] = self.__dict__.get("looks_made", 0) + 1
        return [Line((1, 1, 5, 3), 0.9, np.ones((2, 4), np.bool_))]


def test_a_picture_in_which_text_remains_is_refused() -> None:
    finder = Insistent()
    with pytest.raises(ImageRefused, match="still found"):
        cover_text(np.zeros((20, 20, 3), np.uint8), finder)
    assert finder.__dict__["looks_made"] == MOST_PASSES + 1


def test_a_dry_run_draws_boxes_and_leaves_the_picture(covered_lines: tuple[Pixels, Pixels, TextReport]) -> None:
    pixels, _, report = covered_lines
    drawn = drawn_lines(pixels, report.lines)
    assert drawn.shape == pixels.shape
    assert 0 < (drawn != pixels).any(axis=2).mean() < 0.2


HEIGHT_PX, WIDTH_PX, LETTERS_PX = 60, 80, 4


class SeesPieces(TextFinder):
    """Quick looks see nothing. Each thorough look sees a piece of each text of which something shows.

    texts: top, left, right of each; the first piece begins anywhere, a later one within a text's height of paint; each
    is at least as wide as a letter is high, or all that is left there.
    """

    def __init__(self, texts: Sequence[tuple[int, int, int]], draw: Callable[[int, int], int]) -> None:
        super().__init__()
        self.texts, self.draw = texts, draw
        self.looks_made = 0

    def find(
        self, views: Sequence[Pixels], painted: Mask | None = None, *, looks: Sequence[Look] | None = None
    ) -> list[Line]:
        assert painted is not None
        self.looks_made += 1
        return [line for text in self.texts for line in self._piece(text, painted)] if looks else []

    def _piece(self, text: tuple[int, int, int], painted: Mask) -> list[Line]:
        top, left, right = text
        columns = painted[top, left:right]
        showing = left + np.flatnonzero(~columns)
        if columns.any():
            done = left + np.flatnonzero(columns)
            showing = showing[np.abs(showing[:, None] - done[None]).min(axis=1) <= LETTERS_PX]
        if not len(showing):
            return []
        start = end = int(showing[self.draw(0, len(showing) - 1)])
        width = max(self.draw(1, right - left), LETTERS_PX)
        while end < min(start + width, right) and not painted[top, end]:
            end += 1
        while end - start < LETTERS_PX and start > left and not painted[top, start - 1]:
            start -= 1
        return [Line((start, top, end, top + LETTERS_PX), 0.9, np.ones((LETTERS_PX, end - start), np.bool_))]

    @property
    def ink(self) -> Mask:
        mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
        for top, left, right in self.texts:
            mask[top : top + LETTERS_PX, left:right] = True
        return mask


def painted_by(finder: TextFinder) -> tuple[Mask, TextReport]:
    """Which pixels of an empty picture are painted."""
    covered, report = cover_text(np.full((HEIGHT_PX, WIDTH_PX, 3), 9, np.uint8), finder)
    return (covered == 0).all(axis=2), report


def tens(least: int, most: int) -> int:
    """From the left, ten columns at a time."""
    return least if least == 0 else min(10, most)


def test_a_line_that_a_thorough_look_sees_in_pieces_is_painted_whole() -> None:
    finder = SeesPieces([(20, 20, 60)], tens)
    mask, report = painted_by(finder)
    assert (mask == finder.ink).all()
    assert report.passes == 4
    assert [line.box[::2] for line in report.lines] == [(20, 30), (30, 40), (40, 50), (50, 60)]


def test_a_line_of_which_every_thorough_look_sees_more_refuses_the_picture() -> None:
    finder = SeesPieces([(20, 10, 60)], lambda least, most: least)
    with pytest.raises(ImageRefused, match="still found"):
        painted_by(finder)
    assert finder.looks_made == 2 * (MOST_PASSES + 1)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), min_size=1, max_size=4),
    data=st.data(),
)
def test_whatever_is_seen_in_pieces_is_painted_whole_or_the_picture_is_refused(
    texts: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = [(14 * at + 2, left, min(left + width, WIDTH_PX)) for at, (left, width) in enumerate(texts)]
    finder = SeesPieces(rows, lambda least, most: data.draw(st.integers(least, most)))
    try:
        mask, report = painted_by(finder)
    except ImageRefused:
        assert finder.looks_made == 2 * (MOST_PASSES + 1)
    else:
        assert (mask == finder.ink).all()
        assert report.passes <= MOST_PASSES


class Scripted(TextFinder):
    """Gives lists of boxes: ``quick`` at every quick look, the next of ``thorough`` at every thorough one."""

    def __init__(self, quick: Sequence[Box], thorough: Sequence[Sequence[Box]]) -> None:
        super().__init__()
        self.quick, self.thorough = quick, list(thorough)

    def find(
        self, views: Sequence[Pixels], painted: Mask | None = None, *, looks: Sequence[Look] | None = None
    ) -> list[Line]:
        boxes = (self.thorough.pop(0) if self.thorough else []) if looks else self.quick
        return [Line(box, 0.9, np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)) for box in boxes]


FIRST: Box = (20, 20, 40, 28)


@pytest.mark.parametrize(
    ("second", "goes_on"),
    [
        ((40, 20, 50, 28), True),
        ((44, 20, 60, 28), True),
        ((20, 32, 40, 40), True),
        ((30, 24, 50, 30), True),
        ((60, 20, 75, 28), False),
        ((20, 45, 40, 53), False),
    ],
)
def test_a_repeated_thorough_look_paints_what_goes_on_and_leaves_what_is_apart(second: Box, goes_on: bool) -> None:
    mask, report = painted_by(Scripted([], [[FIRST], [second]]))
    left, top, right, bottom = second
    assert bool(mask[top:bottom, left:right].all()) is goes_on
    assert [line.box for line in report.lines] == [FIRST, second][: 1 + goes_on]


def test_what_goes_on_from_a_line_that_goes_on_is_painted_with_it() -> None:
    mask, report = painted_by(Scripted([], [[FIRST], [(62, 20, 75, 28), (44, 20, 58, 28)]]))
    assert report.passes == 2
    assert mask[20:28, 62:75].all()


class ReadsMarks(TextReader):
    """Takes every line in the upper half for a mark."""

    def read(self, pixels: Pixels, box: Box) -> Reading:
        return Reading("5.0 cm" if box[3] < HEIGHT_PX // 2 else "DOE", 1.0)


def test_a_mark_that_is_kept_does_not_stop_the_thorough_look() -> None:
    mark, name = (4, 4, 30, 10), (4, 40, 40, 48)
    finder = Scripted([mark], [[mark, name]])
    covered, report = cover_text(np.full((HEIGHT_PX, WIDTH_PX, 3), 9, np.uint8), finder, ReadsMarks(), keep_marks=True)
    assert not covered[40:48, 4:40].any()
    assert covered[4:10, 4:30].all()
    assert (report.lines_covered, report.marks_kept) == (1, 1)


def test_a_mark_that_both_looks_find_is_counted_once() -> None:
    mark, other = (4, 4, 30, 10), (50, 4, 70, 10)
    finder = Scripted([mark], [[mark, other]])
    _, report = cover_text(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8), finder, ReadsMarks(), keep_marks=True)
    assert (report.lines_covered, report.marks_kept) == (0, 2)


def test_a_name_that_a_later_thorough_look_sees_beside_a_kept_mark_is_painted() -> None:
    mark, name, other = (4, 4, 30, 10), (33, 4, 60, 31), (4, 45, 40, 53)
    finder = Scripted([], [[mark, other], [mark, name], [mark]])
    covered, report = cover_text(np.full((HEIGHT_PX, WIDTH_PX, 3), 9, np.uint8), finder, ReadsMarks(), keep_marks=True)
    assert not covered[4:31, 33:60].any()
    assert covered[4:10, 4:30].all()
    assert (report.lines_covered, report.marks_kept) == (2, 1)
