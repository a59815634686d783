"""What is asked of labelled or captioned pictures, and which rows are right answers. On the device only.

pictures   one of the pictures, itself left out (an object: all of its study): right are those with its label
labels     a label as words: right are the pictures with it
captions   a caption as words: right are the pictures with this very caption
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidConfiguration
from unseen_client.evaluate.material import SEED, Item
from unseen_client.evaluate.measures import Bools
from unseen_client.evaluate.vectors import Maker

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embedded:
    """Pictures as vectors (n, d): with their faces covered, and as they are."""

    items: Sequence[Item]
    covered: Float32Array
    seen: Float32Array


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions of one kind."""

    kind: str
    covered: Float32Array
    """(q, d)"""
    seen: Float32Array
    """(q, d): the same from pictures whose faces are not covered; of words the same."""
    right: Bools
    """(q, n)"""
    left_out: Bools
    """(q, n): rows that are no answer, right or wrong: the picture that is asked with, and others of its study."""


def questions_of(pictures: Embedded, maker: Maker, most: int) -> list[Questions]:
    """Every kind of question that the items allow, a fixed sample of ``most`` each."""
    labels = np.array([item.label for item in pictures.items])
    captions = np.array([item.caption for item in pictures.items])
    kinds = [
        _pictures(pictures, labels, most),
        _words("labels", labels, [label.replace("_", " ") for label in _sample(labels, most)], maker),
        _words("captions", captions, _sample(captions, most), maker),
    ]
    return [one for one in kinds if len(one.covered)]


def _pictures(pictures: Embedded, labels: npt.NDArray[np.str_], most: int) -> Questions:
    alike = (labels[:, None] == labels) & (labels != "")
    studies = np.array([item.study for item in pictures.items])
    own = ((studies[:, None] == studies) & (studies != "")) | np.eye(len(labels), dtype=bool)
    alike &= ~own
    able = np.flatnonzero(alike.any(axis=1))
    chosen = np.sort(np.random.default_rng(SEED).permutation(able)[:most])
    return Questions("pictures", pictures.covered[chosen], pictures.seen[chosen], alike[chosen], own[chosen])


def _sample(values: npt.NDArray[np.str_], most: int) -> list[str]:
    different = np.unique(values[values != ""])
    return [str(value) for value in np.sort(np.random.default_rng(SEED).permutation(different)[:most])]


def _words(kind: str, values: npt.NDArray[np.str_], asked: Sequence[str], maker: Maker) -> Questions:
    spelled = np.array([value.replace("_", " ") for value in values]) if kind == "labels" else values
    right = np.array([spelled == words for words in asked]).reshape(len(asked), len(values))
    try:
        made = [maker.text(words) for words in asked]
    except InvalidConfiguration:  # it made vectors of pictures, so this can only mean that it reads no words
        made, right = [], right[:0]
    vectors = np.array(made, np.float32).reshape(len(made), maker.dimension)
    return Questions(kind, vectors, vectors, right, np.zeros_like(right))
