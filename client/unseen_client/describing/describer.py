"""Pictures described while they are enrolled: tags and a caption for the sealed record, and their words in the row.

For the device only. A language model that describes sees the picture with its faces covered, never the file.

With ``weight`` above zero the words become part of the row: the direction of its semantic part (of the whole row, where
a model has one part) is moved towards theirs,

    semantic' = direction of  (1 - weight) * semantic + weight * direction of sum of texts

so that words find a picture by what its tags and caption say as well as by what the model saw, with the same one
encrypted query. The row is as long as before; a picture like it is found as before by what it looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from unseen.embed.model import Facet, Float32Vector, unit_vector
from unseen.errors import InvalidInput
from unseen_client.describing.language_model import LanguageModel, caption
from unseen_client.describing.tagger import Tagger
from unseen_client.describing.vocabulary import MOST_CHANCE, Vocabulary
from unseen_client.records import Record

if TYPE_CHECKING:
    from unseen_client.prepare import PreparedImage, Preparer

SEMANTIC = "semantic"
"""The facet that words fill."""
WEIGHT = 0.3
"""A tag that the model itself was half sure of then fits for certain, and the picture still counts for more."""


@dataclass(frozen=True)
class Describing:
    """What enrolment is to say about pictures by itself; raises InvalidInput for what cannot be."""

    vocabulary: Vocabulary | None = None
    """Tags to choose from; None: no tags."""
    captioner: LanguageModel | None = None
    """What writes a caption for a picture that has none; None: no captions."""
    weight: float = WEIGHT
    """How much the words of a record, its own tags and caption too, count in the row: 0 (nothing) to 0.9."""
    most_chance: float = MOST_CHANCE

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 0.9:
            raise InvalidInput(f"got weight={self.weight:g}; give 0 to 0.9: a row is of its picture too")


class Describer:
    """Describes prepared pictures; the vocabulary is encoded when it is made."""

    def __init__(self, preparer: Preparer, wish: Describing) -> None:
        self._preparer = preparer
        self._wish = wish
        self._tagger = None if wish.vocabulary is None else Tagger(preparer, wish.vocabulary, wish.most_chance)

    def described(self, image: PreparedImage, record: Record) -> tuple[Float32Vector, Record]:
        """The row's vector and its record; what the record said already stays. Raises what the captioner raises."""
        found = () if self._tagger is None else tuple(tag.text for tag in self._tagger.tags(image.vector))
        told = record.caption
        if not told and self._wish.captioner is not None:
            told = caption(self._wish.captioner, image.covered)
        record = replace(record, tags=tuple(dict.fromkeys((*record.tags, *found))), caption=told)
        texts = [*record.tags, *([told] if told else [])]
        if not texts or not self._wish.weight:
            return image.vector, record
        words = [self._preparer.text(text) for text in texts]
        return moved(image.vector, words, self._preparer.facets, self._wish.weight), record


def moved(
    row: Float32Vector, words: Sequence[Float32Vector], facets: Mapping[str, Facet], weight: float
) -> Float32Vector:
    """A row (d,) whose semantic part is moved towards words (d,), each counting alike; as long as before."""
    run = slice(facets[SEMANTIC].start, facets[SEMANTIC].stop) if SEMANTIC in facets else slice(None)
    said = unit_vector(np.sum([unit_vector(word[run]) for word in words], axis=0))
    length = np.linalg.norm(row[run])
    made = row.copy()
    made[run] = length * unit_vector((1 - weight) * unit_vector(row[run]) + weight * said)
    return made
