"""Which words of a vocabulary fit a picture, without training: each is held against words that nobody asked for.

For the device only. Holds vectors of words; a picture's vector only as long as a call lasts.

The score of a tag is the cosine of the picture and the tag, the mean of its prompts. Cosines of different models,
and of different pictures, are not on one scale, so no cosine is the threshold. A
picture's scores for 177 everyday words that nobody asked for (the null set) are what chance looks like for this very
picture, and

    chance = (1 + null words that fit as well) / (1 + null words)

is the conformal p-value of the tag (Vovk, Gammerman, Shafer 2005, eq. 2.20): whatever the model, a tag that fits no
better than an everyday word gets a chance of a half. Tags of at most ``most_chance`` are given. The null set does hold
words that are true of some pictures, which makes a tag harder to get, never easier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.embed.model import unit_vector
from unseen.errors import InvalidInput
from unseen_client.describing.vocabulary import MOST_CHANCE, PLACE, Vocabulary

Float32Array = npt.NDArray[np.float32]

MOST_TAGS_OF_A_PICTURE = 10
NULL_WORDS = (
    "acorn apple arm arrow bag bakery ball baseball basket bath battery bean beard bell bicycle blanket boat book "
    "boot bottle bowl bread brick broom bucket bus button cabbage cage cake camera candle carpet castle chain chair "
    "chalk cheese chess chicken church clock cloud coat coin computer corn cow crab crown cup curtain deer desk "
    "diamond doctor dolphin door drum duck ear egg elephant eye farm feather fence fire fish flag foot forest fork "
    "frog garlic gate giraffe glass glove goat grape grass guitar hair hammer harbour hat helmet honey horse hospital "
    "island jacket jar kettle key kitchen kite knife ladder lake lamp leaf lemon letter lion lock map market milk "
    "mirror monkey moon motorcycle mountain mushroom nail needle nest onion orange oven owl paint pan paper pencil "
    "piano pig pillow plane plate pond potato pumpkin rabbit rain ring river road rocket roof rope sand scissors "
    "sheep shell ship shirt shoe snake snow soap spider spoon stone sun table tea tent tiger tooth towel tower train "
    "tree truck umbrella vase violin wall watch waterfall whale wheel window wolf"
)
"""The null set: names of things that are on pictures, of every kind, and of nothing that most pictures show."""


class ReadsWords(Protocol):
    """What makes vectors of words: ``unseen_client.prepare.Preparer``."""

    @property
    def text_score_scale(self) -> float: ...
    def text(self, words: str) -> Float32Array: ...


@dataclass(frozen=True)
class Tag:
    """One tag of a picture."""

    text: str
    score: float
    """The cosine of picture and tag."""
    chance: float
    """The part of everyday words that fit the picture as well: 0 to 1, small is sure."""


class Tagger:
    """Gives tags to vectors of pictures. The vocabulary is encoded when it is made; then safe for several threads."""

    def __init__(
        self,
        words: ReadsWords,
        vocabulary: Vocabulary,
        most_chance: float = MOST_CHANCE,
        most_tags: int = MOST_TAGS_OF_A_PICTURE,
    ) -> None:
        """Raises InvalidInput, ModelMismatch, and what the model raises."""
        if not 0 < most_chance <= 1 or most_tags < 1:
            raise InvalidInput(
                f"got most_chance={most_chance:g} and most_tags={most_tags}; give a part of 1, as 0.02, and 1 or more"
            )
        self._tags, self._most_chance, self._most_tags = vocabulary.tags, most_chance, most_tags
        self._scale = words.text_score_scale
        asked = {tag.casefold() for tag in vocabulary.tags}
        null_words = [word for word in NULL_WORDS.split() if word not in asked]
        self._wanted = _means(words, vocabulary.tags, vocabulary.prompts)
        self._null = _means(words, null_words, vocabulary.prompts)

    def tags(self, vector: npt.ArrayLike) -> list[Tag]:
        """The tags that fit the vector (d,) of a picture, best first."""
        picture = np.asarray(vector, np.float32)
        scores = self._wanted @ picture * self._scale
        null = np.sort(self._null @ picture * self._scale)
        as_well = len(null) - np.searchsorted(null, scores, side="left")
        chances = (1 + as_well) / (1 + len(null))
        best = np.argsort(-scores, kind="stable")[: self._most_tags]
        return [
            Tag(self._tags[at], float(scores[at]), float(chances[at]))
            for at in best
            if chances[at] <= self._most_chance
        ]


def _means(words: ReadsWords, texts: Sequence[str], prompts: Sequence[str]) -> Float32Array:
    """One unit vector a text, (n, d): the direction of the mean over all prompts."""
    return np.stack(
        [
            unit_vector(np.mean([words.text(prompt.replace(PLACE, text)) for prompt in prompts], axis=0))
            for text in texts
        ]
    )
