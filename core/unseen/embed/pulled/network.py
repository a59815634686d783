"""What every adapter gives: numbers of a picture and of words, as upstream's own forward pass has them.

For the device only.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.embed.pulled.recipe import Recipe
from unseen.errors import InvalidConfiguration

Float32Array = npt.NDArray[np.float32]


class Network(Protocol):
    """An opened model; safe for several threads."""

    def picture(self, numbers: Float32Array) -> Float32Array:
        """Return (dimension,) of a prepared picture (1, 3, side, side), of any length."""

    def words(self, words: str) -> Float32Array:
        """Return (dimension,) of words, of any length; InvalidInput when they are empty or too long."""


def reads_no(what: str, recipe: Recipe) -> InvalidConfiguration:
    """The refusal of a model that is asked for what it cannot read."""
    return InvalidConfiguration(
        f"model {recipe.name!r} reads no {what}; create the collection with a model that does: `unseen models list`"
    )
