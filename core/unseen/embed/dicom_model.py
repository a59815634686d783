"""A model of pictures as it is used on DICOM objects: how numbers of a scanner become a picture belongs to the model.

For the device only. The same object through another window is another picture and gives another vector, so the choices
below are pinned: a hash over them stands in the id, ``<model>+dicom:<hash>``, and a collection refuses every other one.
What carries them out is ``unseen_client.dicom.rendering``; change a number here or a step there, and raise RECIPE.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final

from unseen.embed.model import Embedder, ModelEntry, Registry
from unseen.embed.renamed import RenamedEmbedder

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
    return lambda threads: RenamedEmbedder(entry.load(threads), model_id)
