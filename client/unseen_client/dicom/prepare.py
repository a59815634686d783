"""From a DICOM file to what may leave the device's memory: de-identify, render, embed. In this order, always.

    bytes -> attributes (child, site key) -> text and faces in the chosen frames -> pictures of 8 bits (child, no key)
          -> painted -> region of an ultrasound, empty borders off -> vector and thumbnail

Runs where the images are. Holds an object for the length of a call, models and children between calls. The real UIDs
that it gives back beside the pictures are for the crosswalk of this device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.deid.dicom.options import Option
from unseen.deid.dicom.placement import Placement
from unseen.embed.dicom_model import CENTRE_SHARE
from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen.pixels import Pixels
from unseen_client.child_process import worker_count
from unseen_client.deid.dicom_file import DicomPipeline
from unseen_client.deid.dicom_settings import DicomSettings, LookForText
from unseen_client.dicom.representative import spread
from unseen_client.dicom.source import CHANGED, DicomSource, TextBeside
from unseen_client.dicom.views import Views
from unseen_client.prepare import Preparer, thumbnail_of

Choose = Callable[[Placement], Sequence[int]]


@dataclass(frozen=True, eq=False)
class DicomPicture:
    """One frame that went through every step."""

    frame: int
    """Counted from 1, as DICOM counts."""
    vector: npt.NDArray[np.float32]
    """(dimension,), unit length."""
    thumbnail: bytes


@dataclass(frozen=True, eq=False, repr=False)
class DicomWords:
    """What a report says, without identifiers."""

    text: str
    vector: npt.NDArray[np.float32]
    """(dimension,), unit length."""


@dataclass(frozen=True, eq=False)
class DicomPictures:
    """The chosen frames of one object."""

    placement: Placement
    pictures: tuple[DicomPicture, ...]
    covered: int
    """Places painted before anything else looked at the pixels: lines of text and faces."""
    faces: int


@dataclass(frozen=True, eq=False, repr=False)
class DicomBothWays:
    """The middle frame of one object as it would be enrolled, and with nothing painted: for this device alone."""

    placement: Placement
    painted: npt.NDArray[np.float32]
    seen: npt.NDArray[np.float32]


class DicomPreparer:
    """De-identifies, renders and embeds DICOM objects. Children are started when first needed; thread-safe."""

    def __init__(self, preparer: Preparer, settings: DicomSettings, workers: int | None = None) -> None:
        """preparer: whose model is used. Takes the site key, or makes it. InvalidConfiguration, IntegrityError."""
        if Option.RETAIN_UIDS in settings.options or settings.text is LookForText.NEVER:
            raise InvalidConfiguration(
                "got settings that keep real UIDs or burned-in text, expected none for objects that are enrolled: "
                "records hold pseudonyms only, and vectors no text"
            )
        self.workers = worker_count(workers)
        self._preparer = preparer
        self._pipeline = DicomPipeline(settings, self.workers)
        self._views = Views(self.workers)

    def placed(self, source: DicomSource) -> Placement:
        """Return where an object or a report stands, from its attributes alone; ImageRefused."""
        if isinstance(source, TextBeside):
            return self._words(source)[1]
        return self._pipeline.placed(source.read())

    def report(self, source: DicomSource, placement: Placement) -> DicomWords:
        """Return the words of a report without identifiers, ready to be enrolled; ImageRefused.

        placement: where it stood when it was looked through.
        """
        text, found = self._words(source)
        if found != placement:
            raise ImageRefused(CHANGED)
        try:
            return DicomWords(text, self._preparer.text_row(text))
        except InvalidInput as error:
            raise ImageRefused(f"the collection's model does not take the words of this report: {error}") from error

    def _words(self, source: DicomSource) -> tuple[str, Placement]:
        if isinstance(source, TextBeside):
            return self._pipeline.words_beside(source.read(), (one.read() for one in source.objects))
        return self._pipeline.words(source.read())

    def pictures(self, source: DicomSource, choose: Choose) -> DicomPictures:
        """Return the chosen frames of one object, ready to be enrolled; ImageRefused when a step cannot be done."""
        looked = self._pipeline.looked_at(source.read(), choose)
        shown = self._views.pictures(looked.data, looked.chosen, looked.mask)
        people = min(looked.faces, 1)
        made = [
            DicomPicture(frame + 1, self._vector(views.looks, people), thumbnail_of(views.shown))
            for frame, views in zip(looked.chosen, shown, strict=True)
        ]
        return DicomPictures(looked.placement, tuple(made), looked.covered, looked.faces)

    def query(self, source: DicomSource) -> npt.NDArray[np.float32]:
        """Return the vector (dimension,) to search with: of the only frame, or of the middle one; ImageRefused."""
        return self.pictures(source, lambda placement: spread(placement.frames, 1)).pictures[0].vector

    def both_ways(self, source: DicomSource) -> DicomBothWays:
        """Return the vectors (dimension,) of the only or middle frame, to measure what painting costs; ImageRefused."""
        looked = self._pipeline.looked_at(source.read(), lambda placement: spread(placement.frames, 1))
        people = min(looked.faces, 1)
        masks = [looked.mask] if looked.mask is None or not looked.covered else [looked.mask, None]
        made = [self._vector(self._views.pictures(looked.data, looked.chosen, mask)[0].looks, people) for mask in masks]
        return DicomBothWays(looked.placement, made[0], made[-1])

    def _vector(self, pictures: Sequence[Pixels], people: int) -> npt.NDArray[np.float32]:
        """The direction between the vectors of each picture of a frame, whole and without its outer part."""
        looks = [look for picture in pictures for look in (picture, centre_of(picture))]
        together = np.sum([self._preparer.embedded(look, people=people) for look in looks], axis=0)
        length = float(np.linalg.norm(together))
        if not length:
            raise ImageRefused("the model finds nothing in this picture to compare it by; leave it out")
        return np.asarray(together / length, np.float32)

    def close(self) -> None:
        """End the children and let go of the models; the preparer stays open."""
        self._pipeline.close()
        self._views.close()


def centre_of(picture: Pixels) -> Pixels:
    """The middle of a picture, CENTRE_SHARE of each side."""
    height, width = picture.shape[:2]
    top, left = (int(side * (1 - CENTRE_SHARE) / 2) for side in (height, width))
    return np.ascontiguousarray(picture[top : height - top, left : width - left])
