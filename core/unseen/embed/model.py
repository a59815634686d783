"""What every embedding model promises, and the list of models by name.

For the device only. Holds nothing but descriptions until a model is loaded.

A collection remembers the ``model_id`` of the model that made its rows. Vectors of two models are no more comparable
than lengths in feet and in litres, so a different id is refused (ModelMismatch) and never converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput, InvalidVector, ModelMismatch
from unseen.pixels import Pixels

Float32Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Facet:
    """A run of a row's numbers that is one way of being alike: a unit vector times a weight that all rows share."""

    start: int
    stop: int
    weight: float
    """The facet's length in every row of a picture; above zero, at most 1."""


class Embedder(Protocol):
    """Turns pictures and words into unit vectors of one space."""

    @property
    def model_id(self) -> str:
        """Name and hash prefix of everything that decides a vector: weights, preprocessing, recipe."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    @property
    def text_score_scale(self) -> float:
        """What the score of a word query is multiplied with to become the cosine of the part that words use."""

    @property
    def facets(self) -> Mapping[str, Facet]:
        """The parts of a row that a query may weigh one by one, by name; empty when there is one part."""

    def image(self, pixels: Pixels, *, people: int = 0) -> Float32Vector:
        """Return the unit vector (dimension,) of a picture in which ``people`` faces were found and covered.

        pixels: (height, width, 3), upright.
        """

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector (dimension,) of a word query; InvalidInput when empty or too long."""

    def close(self) -> None:
        """Let go of the memory the model holds."""


@dataclass(frozen=True)
class ModelEntry:
    """One model of a registry: what can be said about it without loading it."""

    name: str
    model_id: str
    dimension: int
    load: Callable[[int], Embedder]
    """threads -> Embedder. Weights are read and their hashes checked at the first picture or word."""


class Registry:
    """The models this device knows, by name. Immutable; ``adding`` returns a larger one."""

    def __init__(self, entries: Iterable[ModelEntry]) -> None:
        self._entries = {entry.name: entry for entry in entries}

    def names(self) -> tuple[str, ...]:
        """Return the known names in alphabetical order."""
        return tuple(sorted(self._entries))

    def entry(self, name: str) -> ModelEntry:
        """Return what is known about a model; ModelMismatch for an unknown name."""
        if name not in self._entries:
            raise ModelMismatch(f"got model {name!r}, expected one of {', '.join(self.names())}; choose one of these")
        return self._entries[name]

    def entry_with_id(self, model_id: str) -> ModelEntry:
        """Return the model that made a collection; ModelMismatch when this device does not hold it."""
        for entry in self._entries.values():
            if entry.model_id == model_id:
                return entry
        known = ", ".join(sorted(entry.model_id for entry in self._entries.values()))
        raise ModelMismatch(
            f"got a collection made by model {model_id!r}, expected one of {known}; {self._what_to_do(model_id)}, "
            "or enrol the pictures anew"
        )

    def _what_to_do(self, model_id: str) -> str:
        name = model_id.partition(":")[0]
        base, recipe, _ = model_id.partition("+dicom:")
        if recipe and any(entry.model_id.partition("+dicom:")[0] == base for entry in self._entries.values()):
            return "it looks at DICOM objects through other windows and borders: use the release of Unseen that made it"
        if "+adapter:" in model_id:
            return "add its adapter with `unseen adapters add FILE`"
        if name.startswith("bundled"):
            return "install the release of Unseen that made it"
        if any(entry.model_id.startswith(f"{name}:") for entry in self._entries.values()):
            return f"{name!r} here is another revision: pull the one that made it as well, with `unseen models pull`"
        return f"pull {name!r} with `unseen models pull`, at the revision that made it"

    def load(self, name: str, threads: int = 1) -> Embedder:
        """Return a model ready to be used by several threads; ModelMismatch for an unknown name."""
        return self.entry(name).load(threads)

    def adding(self, entry: ModelEntry) -> Registry:
        """Return this registry and one more model; InvalidInput when the name is taken."""
        if entry.name in self._entries:
            raise InvalidInput(f"got model name {entry.name!r} twice, expected a new one; choose another name")
        return Registry((*self._entries.values(), entry))


def check_pixels(pixels: Pixels) -> None:
    """Raise InvalidInput unless the array is a picture: uint8 (height, width, 3), at least 1 x 1."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InvalidInput(
            f"got pixels of shape {pixels.shape} and type {pixels.dtype}, "
            "expected (height, width, 3) of uint8 with at least one pixel; decode the picture first"
        )


def row_of_words(vector: Float32Vector, facets: Mapping[str, Facet]) -> Float32Vector:
    """Return the row (d,) of a text that is enrolled, from the unit vector of its words.

    What words fill has the weight that it has in a picture's row, so one query scores both alike. A facet that they do
    not fill points along its last direction: in the bundled model the one that tells drawings apart least, on which
    the demo's photographs lie at -0.08 in the mean, 0.09 up and down. So no picture looks like a text, and a row is as
    long as any.
    """
    row = vector.copy()
    for facet in facets.values():
        part = row[facet.start : facet.stop]
        length = np.linalg.norm(part)
        part *= facet.weight / length if length > 0 else 0
        part[-1] = facet.weight if length == 0 else part[-1]
    return row


def unit_vector(vector: Float32Vector) -> Float32Vector:
    """Return a vector at length one; InvalidVector for one that is not finite or has no direction."""
    length = np.linalg.norm(vector)
    if not np.isfinite(length) or length < np.finfo(np.float32).tiny:
        raise InvalidVector("got a picture or text without any direction, expected a finite vector; leave it out")
    return np.asarray(vector / length, np.float32)
