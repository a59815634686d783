from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from tests.core.deid.text.lettering import Pixels, ink_of, page, write
from unseen.deid.text.cover import MOST_PASSES, cover_text
from unseen.deid.text.draw import drawn_lines
from unseen.deid.text.finder import Line, Look, TextFinder
from unseen.deid.text.patches import Mask
from unseen.deid.text.reader import TextReader
from unseen.errors import ImageRefused


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


def test_all_text_is_black_and_everything_else_is_as_it_was(finder: TextFinder) -> None:
    both, _, _ = two_lines()
    pixels = np.asarray(both)
    covered, report = cover_text(pixels, finder)
    changed = (covered != pixels).any(axis=2)
    ink = ink_of(both, page(level=30))
    assert not covered[ink].any()
    assert not covered[changed].any()
    assert 0 < changed.mean() < 0.25
    assert report.lines_covered == 2
    assert pixels[ink].any(), "the input is left as it is"


def test_technical_marks_stay_when_they_are_kept_and_names_do_not(finder: TextFinder) -> None:
    both, name, mark = two_lines()
    covered, report = cover_text(np.asarray(both), finder, TextReader(), keep_marks=True)
    assert not covered[ink_of(name, page(level=30))].any()
    assert (covered[ink_of(mark, page(level=30))] == np.asarray(both)[ink_of(mark, page(level=30))]).all()
    assert (report.lines_covered, report.marks_kept) == (1, 1)


def test_the_report_is_json_and_holds_no_letter_of_what_was_covered(finder: TextFinder) -> None:
    _, report = cover_text(np.asarray(two_lines()[0]), finder)
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


def test_a_dry_run_draws_boxes_and_leaves_the_picture(finder: TextFinder) -> None:
    pixels = np.asarray(two_lines()[0])
    _, report = cover_text(pixels, finder)
    drawn = drawn_lines(pixels, report.lines)
    assert drawn.shape == pixels.shape
    assert 0 < (drawn != pixels).any(axis=2).mean() < 0.2
