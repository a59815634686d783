"""Frames, finders and what is painted: the loop over an object's frames, with finders that see one colour each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from unseen.deid.dicom.burned_in import Finders, burned_in
from unseen.deid.dicom.stored import Shown, StoredFrames
from unseen.deid.faces import Face, FaceFinder
from unseen.deid.text.finder import Line, Look, TextFinder
from unseen.deid.text.patches import Mask
from unseen.errors import ImageRefused
from unseen.pixels import Pixels

WHITE = 250


class SeesWhite(TextFinder):
    """Takes the box of white pixels for a line of text."""

    looked = 0

    def find(
        self, views: Sequence[Pixels], painted: Mask | None = None, *, looks: Sequence[Look] | None = None
    ) -> list[Line]:
        self.looked += looks is None
        white = np.min(views[0], axis=2) >= WHITE
        if not white.any():
            return []
        rows, columns = np.nonzero(white)
        box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        return [Line(box, 0.9, np.ones((box[3] - box[1], box[2] - box[0]), np.bool_))]


class SeesGreen(FaceFinder):
    """Takes green pixels for a face."""

    def find(self, pixels: Pixels, *, turned: bool = False) -> list[Face]:
        green = (pixels[..., 1] > 200) & (pixels[..., 0] < 50)
        if not green.any():
            return []
        rows, columns = np.nonzero(green)
        return [Face((float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1), 0.9)]


def grey(frame_count: int) -> np.ndarray:
    return np.random.default_rng(2).integers(10, 200, (frame_count, 30, 40)).astype(np.uint8)


def test_what_is_found_in_one_frame_is_painted_in_all() -> None:
    stored = grey(3)
    stored[0, 2:5, 3:9] = stored[2, 20:25, 30:38] = 255
    mask, report = burned_in(StoredFrames(stored, Shown.GREY), Finders(SeesWhite()))
    assert mask[2:5, 3:9].all()
    assert mask[20:25, 30:38].all()
    assert mask.sum() == 3 * 6 + 5 * 8
    assert [at for at, _ in report.lines] == [1, 3]
    assert report.covered == 2
    assert report.passes == 1


def test_text_that_stands_still_is_found_once() -> None:
    stored = grey(4)
    stored[:, 2:5, 3:9] = 255
    _, report = burned_in(StoredFrames(stored, Shown.GREY), Finders(SeesWhite()))
    assert len(report.lines) == 1


def test_frames_that_repeat_are_looked_at_once() -> None:
    stored = np.repeat(grey(1), 6, axis=0)
    finder = SeesWhite()
    burned_in(StoredFrames(stored, Shown.GREY), Finders(finder))
    assert finder.looked == 1


class CountsThoroughLooks(SeesWhite):
    thorough = 0

    def find(
        self, views: Sequence[Pixels], painted: Mask | None = None, *, looks: Sequence[Look] | None = None
    ) -> list[Line]:
        self.thorough += looks is not None
        return super().find(views, painted, looks=looks)


def test_a_last_frame_that_repeats_one_that_was_looked_at_quickly_is_looked_at_thoroughly() -> None:
    stored = grey(5)
    stored[4] = stored[3]
    finder = CountsThoroughLooks()
    burned_in(StoredFrames(stored, Shown.GREY), Finders(finder))
    assert (finder.thorough, finder.looked) == (3, 5)


def test_faces_are_painted_larger_than_found_and_only_where_they_are_looked_for() -> None:
    stored = np.repeat(grey(1)[..., None], 3, axis=3)
    stored[0, 10:16, 12:20] = (0, 255, 0)
    frames = StoredFrames(stored, Shown.RGB)
    mask, report = burned_in(frames, Finders(SeesWhite(), faces=SeesGreen()))
    assert mask[10:16, 12:20].all()
    assert mask.sum() > 2 * 6 * 8
    assert (report.faces_looked_for, len(report.faces)) == (True, 1)
    mask, report = burned_in(frames, Finders(SeesWhite()))
    assert not mask.any()
    assert not report.faces_looked_for


class SeesAlways(SeesGreen):
    def find(self, pixels: Pixels, *, turned: bool = False) -> list[Face]:
        return [Face((1.0, 1.0, 4.0, 4.0), 0.5)]


def test_a_face_that_remains_refuses_the_object() -> None:
    with pytest.raises(ImageRefused, match="faces were still found"):
        burned_in(StoredFrames(grey(1), Shown.GREY), Finders(SeesWhite(), faces=SeesAlways()))
