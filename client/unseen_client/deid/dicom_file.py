"""DICOM objects in `unseen deid`: attributes by PS3.15, then the pixels, and a file that says what was done.

    bytes -> attributes, in a child that holds the site key and decodes nothing
          -> may text be burned in? -> frames, in a child that decodes and holds no key
                                    -> look, paint, look again -> BurnedInAnnotation NO, or ImageRefused

Runs where the images are. Holds an object for the length of a call, models and child processes between calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from io import BytesIO
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from unseen.deid.dicom.burned_in import BurnedInReport, Finders, burned_in
from unseen.deid.dicom.options import EDITION
from unseen.deid.dicom.placement import Placement
from unseen.deid.dicom.stored import StoredFrames
from unseen.deid.faces import FaceFinder
from unseen.deid.text.draw import drawn_lines
from unseen.deid.text.finder import TextFinder
from unseen.deid.text.patches import Mask
from unseen.deid.text.reader import TextReader
from unseen.deid.text.report import CoveredLine
from unseen.errors import ImageRefused
from unseen_client.deid.attributes import OUT_OF_TURN, Attributes
from unseen_client.deid.dicom_settings import DicomSettings, LookForText
from unseen_client.deid.frames import Frames
from unseen_client.deid.pipeline import Cleaned, Facts
from unseen_client.deid.site_key import mark_of, site_key
from unseen_client.home import default_home

__all__ = ["DicomPipeline", "DicomSettings", "LookedAt"]

LARGEST_FILE_BYTES = 512 << 20
LARGE_BYTES = 32 << 20
"""Of larger files one at a time: an object and its frames are held several times over."""
SUFFIX = ".dcm"
NO_PICTURE_PX = 64


@dataclass(frozen=True, eq=False)
class LookedAt:
    """One object whose attributes are clean, and where some of its frames must be painted before they are used."""

    data: bytes
    placement: Placement
    facts: Facts
    chosen: tuple[int, ...] = ()
    """The frames that were looked at, counted from 0."""
    mask: Mask | None = None
    """(rows, columns): what must be painted in every one of them; None where nobody needed to look."""
    covered: int = 0
    """Places to paint, faces among them."""
    faces: int = 0


class DicomPipeline:
    """One DICOM object in, a de-identified one out, or ImageRefused. Safe for several threads."""

    largest_file_bytes = LARGEST_FILE_BYTES

    def __init__(self, settings: DicomSettings, workers: int = 1) -> None:
        """Take the site key, or make it; InvalidConfiguration, IntegrityError, StoreFailed."""
        self._settings = settings
        self._key = settings.site_key or site_key(settings.home or default_home())
        self._attributes = Attributes(self._key, settings.options, workers)
        self._frames = Frames(workers)
        self._text, self._reader, self._faces = TextFinder(), TextReader(), FaceFinder()
        self._large = Lock()

    def description(self) -> Facts:
        """Return the release, the edition, every setting, what finds text and faces, and which site key it is."""
        return self._description

    def clean(self, data: bytes) -> Cleaned:
        """Return the de-identified object; ImageRefused."""
        with self._room_for(data):
            clean, facts, look = self._without_attributes(data)
            if not look:
                return Cleaned(clean, SUFFIX, facts)
            frames = self._frames.decode(clean)
            mask, report = burned_in(frames, self._finders(facts))
            clean, attributes = _with_pixels(clean, facts["attributes"], frames, mask, report)
            return Cleaned(clean, SUFFIX, {"attributes": attributes, "pixels": report.as_dict()}, report.covered)

    def placed(self, data: bytes) -> Placement:
        """Return where an object stands, from its attributes alone, its real UIDs among it; ImageRefused.

        It has a picture, or is a report of which the words could be read and cleaned.
        """
        with self._room_for(data):
            clean, attributes, placement = self._attributes.placed(data)
            return placement if placement.is_report else _with_a_picture(clean, attributes, placement).placement

    def words(self, data: bytes) -> tuple[str, Placement]:
        """Return what a structured report says, without identifiers, and where it stands; ImageRefused."""
        with self._room_for(data):
            clean, _, placement = self._attributes.placed(data)
        if not placement.is_report:
            raise ImageRefused("the object is no structured report; give one, or enrol it as a picture")
        return _text_of(clean), placement

    def words_beside(self, text: bytes, objects: Iterable[bytes]) -> tuple[str, Placement]:
        """Return a text without what the tags of any of its study's objects say, and where it stands; ImageRefused."""
        placement = None
        for data in objects:
            with self._room_for(data):
                text, found = self._attributes.words_beside(text, data)
            if placement is not None and found.study != placement.study:
                raise ImageRefused("the objects beside the text are of several studies; give each study a folder")
            placement = placement or found
        if placement is None:
            raise ImageRefused(
                "no object of its study lies beside the text, or others do, too, so nobody knows which names to look "
                "for; put it into a folder with objects of its study alone, none of them refused"
            )
        return _text_of(text), placement

    def looked_at(self, data: bytes, choose: Callable[[Placement], Sequence[int]]) -> LookedAt:
        """Return an object without identifiers in its attributes, and what must be painted in some of its frames.

        The same steps as ``clean``, but text and faces are looked for in those frames alone that ``choose`` names
        (counted from 0; at least one), since no other one is used. Raises ImageRefused.
        """
        with self._room_for(data):
            looked = _with_a_picture(*self._attributes.placed(data))
            chosen = tuple(choose(looked.placement))
            if not self._is_looked_at(looked.facts):
                return replace(looked, chosen=chosen)
            frames = self._frames.decode(looked.data, chosen)
            mask, report = burned_in(frames, self._finders(looked.facts))
            return replace(looked, chosen=chosen, mask=mask, covered=report.covered, faces=len(report.faces))

    def preview(self, data: bytes) -> Cleaned:
        """Return a PNG of the first frame with the places marked that ``clean`` would cover; ImageRefused."""
        with self._room_for(data):
            clean, facts, look = self._without_attributes(data)
            if "pixels" not in facts:
                return Cleaned(_png(Image.new("RGB", (NO_PICTURE_PX, NO_PICTURE_PX))), ".png", facts)
            frames = self._frames.decode(clean)
            if not look:
                return Cleaned(_drawn(frames, None), ".png", facts)
            _, report = burned_in(frames, self._finders(facts))
            return Cleaned(_drawn(frames, report), ".png", {**facts, "pixels": report.as_dict()}, report.covered)

    def close(self) -> None:
        """End child processes and let go of models."""
        self._attributes.close()
        self._frames.close()
        for finder in (self._text, self._reader, self._faces):
            finder.close()

    @cached_property
    def _description(self) -> Facts:
        return {
            "pipeline": "dicom",
            "release": version("unseen"),
            "edition": EDITION,
            "settings": self._settings.as_dict(),
            "text_finder_sha256": self._text.detector_sha256,
            "text_reader_sha256": self._reader.reader_sha256,
            "face_finder_sha256": self._faces.detector_sha256,
            "site_key_mark": mark_of(self._key),
        }

    def _without_attributes(self, data: bytes) -> tuple[bytes, dict[str, Any], bool]:
        """The object without identifiers in its attributes, the facts so far, and whether to look at its pixels."""
        clean, attributes = self._attributes.deidentify(data)
        if not attributes["has_pixels"]:
            return clean, {"attributes": attributes}, False
        facts = {"attributes": attributes, "pixels": "not looked at"}
        return clean, facts, self._is_looked_at(facts)

    def _is_looked_at(self, facts: Facts) -> bool:
        if self._settings.text is LookForText.NEVER:
            return False
        return self._settings.text is LookForText.ALWAYS or bool(facts["attributes"]["reasons_to_look"])

    def _finders(self, facts: Facts) -> Finders:
        keep_marks = self._settings.keep_marks
        faces = self._faces if facts["attributes"]["may_show_faces"] else None
        return Finders(self._text, self._reader if keep_marks else None, faces, keep_marks)

    @contextmanager
    def _room_for(self, data: bytes) -> Iterator[None]:
        """Let large objects through one after the other; MemoryError becomes ImageRefused."""
        try:
            if len(data) > LARGE_BYTES:
                with self._large:
                    yield
            else:
                yield
        except MemoryError:
            raise ImageRefused("the object does not fit the memory; split it, or give the device more") from None


def _with_a_picture(clean: bytes, attributes: dict[str, Any], placement: Placement) -> LookedAt:
    if not attributes["has_pixels"]:
        raise ImageRefused("the object holds no picture of whole numbers, so there is nothing to compare it by")
    return LookedAt(clean, placement, {"attributes": attributes})


def _text_of(words: bytes) -> str:
    try:
        return words.decode()
    except UnicodeDecodeError:  # a child that an object took over may say anything
        raise ImageRefused(OUT_OF_TURN) from None


def _with_pixels(
    clean: bytes, attributes: Facts, frames: StoredFrames, mask: Mask, report: BurnedInReport
) -> tuple[bytes, dict[str, Any]]:
    """The object as a file that says that its pixels are clean, with the painted ones where anything was painted."""
    from unseen.deid.dicom.cleaned import pixels_cleaned
    from unseen.deid.dicom.report import DeidentifiedDicom, DicomReport

    painted = frames.painted(mask) if report.covered else None
    photometric = frames.shown.value if report.covered else None
    before = DeidentifiedDicom(clean, DicomReport.from_dict(attributes))
    after = pixels_cleaned(before, pixels=painted, photometric=photometric, faces_covered=report.faces_looked_for)
    return after.data, after.report.as_dict()


def _drawn(frames: StoredFrames, report: BurnedInReport | None) -> bytes:
    """The first frame, with every place that is painted in any frame."""
    pixels = frames.views(0, np.zeros(frames.frame_shape, np.bool_))[0]
    if report is None:
        return _png(Image.fromarray(pixels))
    places = [*(line for _, line in report.lines), *(CoveredLine(box, 1.0) for _, box in report.faces)]
    return _png(Image.fromarray(drawn_lines(pixels, places)))


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
