"""Opens a model's files with the library of its adapter.

For the device only. Heavy libraries are imported when a network is opened, and not before.
"""

from __future__ import annotations

from unseen.embed.pulled.network import Network
from unseen.embed.pulled.recipe import ONNX, OPEN_CLIP, SENTENCES, Recipe
from unseen.errors import InvalidConfiguration, UnseenError
from unseen.weights import Manifest


def open_network(recipe: Recipe, manifest: Manifest, threads: int) -> Network:
    """Read, check and open a model's files.

    Raises IntegrityError for files that are not the pinned ones, InvalidConfiguration for a missing library or a model
    that the library cannot build.
    """
    try:
        return _opened(recipe, manifest, threads)
    except (UnseenError, MemoryError):
        raise
    except Exception as error:  # upstream's classes, built from upstream's numbers, may end with anything
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
