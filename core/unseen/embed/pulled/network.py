"""What every adapter gives: numbers of a picture and of words, as upstream's own forward pass has them.

For the device only. Heavy libraries are imported when a network is opened, and not before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.embed.pulled.recipe import ONNX, OPEN_CLIP, SENTENCES, Recipe
from unseen.errors import InvalidConfiguration, UnseenError
from unseen.weights import Manifest

Float32Array = npt.NDArray[np.float32]


class Network(Protocol):
    """An opened model; safe for several threads."""

    def picture(self, numbers: Float32Array) -> Float32Array:
        """Return (dimension,) of a prepared picture (1, 3, side, side), of any length."""

    def words(self, words: str) -> Float32Array:
        """Return (dimension,) of words, of any length; InvalidInput when they are empty or too long."""


def open_network(recipe: Recipe, manifest: Manifest, threads: int) -> Network:
    """Read, check and open a model's files.

    Raises IntegrityError for files that are not the pinned ones, InvalidConfiguration for a missing library or a model
    that the library cannot build.
    """
    try:
        return _opened(recipe, manifest, threads)
    except (UnseenError, MemoryError):
        raise
    except Exception as error:
        raise InvalidConfiguration(
            f"model {recipe.name!r} cannot be opened ({recipe.adapter} ended with {type(error).__name__}): its "
            "configuration needs another version of the library, or is wrong; docs/models.md says which were tested"
        ) from error


def _opened(recipe: Recipe, manifest: Manifest, threads: int) -> Network:
    if recipe.adapter == ONNX:
        from unseen.embed.pulled.onnx_network import OnnxNetwork

        return OnnxNetwork(recipe, manifest, threads)
    if recipe.adapter == OPEN_CLIP:
        from unseen.embed.pulled.open_clip_network import OpenClipNetwork

        return OpenClipNetwork(recipe, manifest)
    if recipe.adapter == SENTENCES:
        from unseen.embed.pulled.sentence_network import SentenceNetwork

        return SentenceNetwork(recipe, manifest)
    from unseen.embed.pulled.transformers_network import TransformersNetwork

    return TransformersNetwork(recipe, manifest)


def reads_no(what: str, recipe: Recipe) -> InvalidConfiguration:
    """The refusal of a model that is asked for what it cannot read."""
    return InvalidConfiguration(
        f"model {recipe.name!r} reads no {what}; create the collection with a model that does: `unseen models list`"
    )
