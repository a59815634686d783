"""A model of pictures as it is used on DICOM objects: how numbers of a scanner become a picture belongs to the model.

For the device only. The same object through another window is another picture and gives another vector, so the choices
below are pinned: a hash over them stands in the id, ``<model>+dicom:<hash>``, and a collection refuses every other one.
What carries them out is ``unseen_client.dicom.rendering``; change a number here or a step there, and raise RECIPE.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from unseen.embed.model import Embedder, Facet, Float32Vector, ModelEntry, Pixels, Registry

RECIPE: Final = 1
"""Of the steps that have no number."""
TAILS_PERCENT: Final = 1.0
"""Without a window of the object: from this percentile to the one as far from the other end, padding left out."""
EMPTY_SHARE: Final = 0.98
"""A window that makes this share of the picture black, or this share white, shows nothing; percentiles then."""
LONGEST_SIDE_PX: Final = 1280
SMALLEST_REGION_PX: Final = 16
"""Smaller regions of an ultrasound are mistakes; the whole picture then."""
BACKGROUND: Final = 8
"""Borders of rows and columns whose every value is at most this dark are cut off."""
CENTRE_SHARE: Final = 0.85
"""Each picture is looked at whole, and once more without its outer part: this share of each side stays."""
NAME_SUFFIX: Final = "+dicom"
HASH_PREFIX_DIGITS: Final = 12


def dicom_suffix() -> str:
    """What the id of a model has behind its own name when it is used on DICOM objects."""
    choices = [RECIPE, TAILS_PERCENT, EMPTY_SHARE, LONGEST_SIDE_PX, SMALLEST_REGION_PX, BACKGROUND, CENTRE_SHARE]
    return f"{NAME_SUFFIX}:{hashlib.sha256(json.dumps(choices).encode()).hexdigest()[:HASH_PREFIX_DIGITS]}"


def is_dicom_model(wanted: str) -> bool:
    """Whether a model's name or id is one for DICOM objects, of whatever recipe."""
    return NAME_SUFFIX in wanted


def without_dicom(wanted: str) -> str:
    """The name or id of the model of pictures behind one for DICOM objects."""
    return wanted.partition(NAME_SUFFIX)[0]


def with_dicom(registry: Registry) -> Registry:
    """Return a registry in which every model stands twice: for pictures, and for DICOM objects."""
    for name in registry.names():
        registry = registry.adding(dicom_entry(registry.entry(name)))
    return registry


def dicom_entry(entry: ModelEntry) -> ModelEntry:
    """A model of pictures as one for DICOM objects."""
    model_id = entry.model_id + dicom_suffix()
    return ModelEntry(entry.name + NAME_SUFFIX, model_id, entry.dimension, _loading(entry, model_id))


def _loading(entry: ModelEntry, model_id: str) -> Callable[[int], Embedder]:
    return lambda threads: DicomEmbedder(entry.load(threads), model_id)


class DicomEmbedder:
    """A model of pictures under the name that says how its pictures are made; safe for several threads."""

    def __init__(self, base: Embedder, model_id: str) -> None:
        self._base = base
        self._model_id = model_id

    @property
    def model_id(self) -> str:
        return self._model_id

    @property
    def dimension(self) -> int:
        return self._base.dimension

    @property
    def text_score_scale(self) -> float:
        return self._base.text_score_scale

    @property
    def facets(self) -> Mapping[str, Facet]:
        return self._base.facets

    def image(self, pixels: Pixels, *, people: int = 0) -> Float32Vector:
        """The unit vector of a picture that was rendered from a DICOM object by this recipe."""
        return self._base.image(pixels, people=people)

    def text(self, words: str) -> Float32Vector:
        """The unit vector of a word query."""
        return self._base.text(words)

    def close(self) -> None:
        self._base.close()
