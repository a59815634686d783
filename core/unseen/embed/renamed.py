"""A model under another id: what stands beside a model changes its vectors, so it must change its name too.

For the device only. Holds the model that it was given.
"""

from __future__ import annotations

from collections.abc import Mapping

from unseen.embed.model import Embedder, Facet, Float32Vector
from unseen.pixels import Pixels


class RenamedEmbedder:
    """Another model under an id of its own; safe for several threads."""

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
        """The unit vector of a picture, as the other model makes it."""
        return self._base.image(pixels, people=people)

    def text(self, words: str) -> Float32Vector:
        """The unit vector of a word query, as the other model makes it."""
        return self._base.text(words)

    def close(self) -> None:
        self._base.close()
