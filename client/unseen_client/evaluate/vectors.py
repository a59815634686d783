"""What makes vectors of the pictures that are evaluated: a preparer of photographs, or the road of DICOM objects.

On the device only. Of an object its middle frame counts, as in a search with it. What it shows where nothing is painted
is for the comparison on this device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.entropy import random_bytes
from unseen.errors import ImageRefused
from unseen_client.deid.dicom_settings import SITE_KEY_BYTES, DicomSettings
from unseen_client.dicom.prepare import DicomPreparer
from unseen_client.dicom.source import DicomFile
from unseen_client.in_order import in_order
from unseen_client.prepare import Preparer

Float32Vector = npt.NDArray[np.float32]
Both = tuple[Float32Vector, Float32Vector] | tuple[Float32Vector, Float32Vector, str]
"""Covered, as it is, and of an object the pseudonym of its study."""


class Maker(Protocol):
    """Makes vectors of pictures and of words."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    def both_ways(self, sources: Iterable[Path]) -> Iterator[tuple[Path, Both | ImageRefused]]:
        """Return the vector of every picture with its faces covered, and as it is."""

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector (dimension,) of words."""


class ObjectMaker:
    """Makes them of DICOM objects, by the steps of `unseen enrol-dicom`. Each object counts once."""

    def __init__(self, preparer: Preparer) -> None:
        """preparer: of a model for DICOM objects. Pseudonyms tell studies apart, under a key of this object alone."""
        self._preparer = preparer
        self._objects = DicomPreparer(preparer, DicomSettings(site_key=random_bytes(SITE_KEY_BYTES)))

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._preparer.dimension

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector (dimension,) of words; InvalidInput when empty or too long."""
        return self._preparer.text(words)

    def both_ways(self, sources: Iterable[Path]) -> Iterator[tuple[Path, Both | ImageRefused]]:
        """Return the vectors of every object, painted and as it is, and its study; or why it is refused."""
        instances: set[str] = set()
        for path, made in in_order(map(DicomFile, sources), self._objects.both_ways, self._objects.workers):
            if isinstance(made, ImageRefused):
                yield path.path, made
            elif made.placement.instance in instances:
                yield path.path, ImageRefused("the object is there already; it counts once")
            else:
                instances.add(made.placement.instance)
                yield path.path, (made.painted, made.seen, made.placement.study)

    def close(self) -> None:
        """End the children; the preparer stays open."""
        self._objects.close()
