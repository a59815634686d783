"""The model in the box: EfficientNet-lite0 and MiniLM, joined by class names (ConSE, Norouzi et al. 2014, eq. 2-3).

For the device only. Holds public weights; a picture or a text only as long as a call lasts.

A row has 512 numbers, two parts side by side, each part a unit vector times its weight:

    picture   [ sqrt(1-w) * visual (128) ; sqrt(w) * semantic (384) ]        w = 0.5, "semantic_share"
    words     [            0             ;           semantic       ]

    visual    = direction of  middle @ projection + offset     what it looks like: block 15 of the network's 16
    semantic  = direction of  sum_c p(c) * text(c) - mean + features @ directions @ direction_texts      what is on it

p(c) are the chances of ImageNet's classes at the recipe's temperature, text(c) their sentence vectors. The last term
adds what classes leave out, taught on emoji and clip art with their names (scripts/learn_pictures.py).

One dot product serves both queries. For words it is sqrt(w) times the cosine of the semantic parts: multiply it by
``text_score_scale`` = 1 / sqrt(w). ImageNet knows no people, so covered faces add the text "person" to the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from unseen.embed.languages.encoder import LanguageEncoder, installed
from unseen.embed.model import Embedder, Facet, Float32Vector, ModelEntry, unit_vector
from unseen.embed.preprocess import network_input
from unseen.embed.words import SentenceEncoder
from unseen.pixels import Pixels
from unseen.weights import Manifest, open_session, read_manifest

NAME = "bundled"
FOLDER = Path(__file__).parent / "models"
VISUAL_DIMENSION = 128
SEMANTIC_DIMENSION = 384
PERSON_ROW = 1000
HASH_PREFIX_DIGITS = 12
OTHER_LANGUAGE, ENGLISH = 0.15, 0.3
"""Cosine of the two encoders' vectors below which words are of another language, and from which they are English;
between them both encoders count. Set on one half of the stamps' captions (bench.languages): below the first lie 0.01
of the English ones, from the second 0.91 of them, and of those in other languages from 0.00 (Russian) to 0.17
(traditional Chinese)."""


def bundled_entry() -> ModelEntry:
    """Return the description of the bundled model; reads the manifest only."""
    manifest = read_manifest(FOLDER)
    return ModelEntry(NAME, _model_id(manifest), VISUAL_DIMENSION + SEMANTIC_DIMENSION, _load)


def public_texts() -> npt.NDArray[np.float32]:
    """The sentence vectors (1000, 384) of ImageNet's classes: what the model knows to tell apart, and everybody's."""
    data = read_manifest(FOLDER).read("class_texts.npy")
    return np.asarray(np.load(BytesIO(data), allow_pickle=False)[:PERSON_ROW], np.float32)


def _load(threads: int) -> Embedder:
    return BundledEmbedder(read_manifest(FOLDER), threads)


def _model_id(manifest: Manifest) -> str:
    return f"{manifest.recipe['name']}:{manifest.fingerprint()[:HASH_PREFIX_DIGITS]}"


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the network says of one picture."""

    features: Float32Vector
    """(1280,)"""
    class_scores: Float32Vector
    """(1000,)"""
    middle: Float32Vector
    """(192,): of a block before the last."""


class BundledEmbedder:
    """The bundled model. Each half is read, checked and opened when it is first needed; safe for several threads."""

    def __init__(self, manifest: Manifest, threads: int = 1) -> None:
        self._manifest = manifest
        self._threads = threads
        self._lock = Lock()
        recipe = manifest.recipe
        self._side = int(recipe["input_side_px"])
        self._largest_stretch = float(recipe["largest_stretch"])
        self._temperature = float(recipe["class_temperature"])
        self._person_weight = float(recipe["person_weight"])
        self._semantic_weight = math.sqrt(float(recipe["semantic_share"]))
        self._visual_weight = math.sqrt(1 - float(recipe["semantic_share"]))

    @property
    def model_id(self) -> str:
        return _model_id(self._manifest)

    @property
    def dimension(self) -> int:
        return VISUAL_DIMENSION + SEMANTIC_DIMENSION

    @property
    def text_score_scale(self) -> float:
        return 1 / self._semantic_weight

    @property
    def facets(self) -> Mapping[str, Facet]:
        return {
            "visual": Facet(0, VISUAL_DIMENSION, self._visual_weight),
            "semantic": Facet(VISUAL_DIMENSION, self.dimension, self._semantic_weight),
        }

    def image(self, pixels: Pixels, *, people: int = 0) -> Float32Vector:
        """Return the unit vector (512,) of a picture uint8 (height, width, 3) in which ``people`` faces are covered."""
        seen = self._classify(network_input(pixels, self._side, self._largest_stretch))
        visual = unit_vector(seen.middle @ self._visual_projection[:-1] + self._visual_projection[-1])
        mixture = _softmax(seen.class_scores / self._temperature) @ self._class_texts[:PERSON_ROW]
        mixture = mixture + seen.features @ self._directions @ self._direction_texts
        if people > 0:
            mixture = mixture + self._person_weight * self._class_texts[PERSON_ROW]
        semantic = unit_vector(np.asarray(mixture, np.float32))
        return np.concatenate([self._visual_weight * visual, self._semantic_weight * semantic])

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector (512,) of a word query; the visual part is zero.

        MiniLM reads English. Where a multilingual encoder is installed and says something else, the words are of
        another language, and what it says counts.
        """
        vector = self.english(words)
        if self._languages is None:
            return vector
        semantic, mapped = vector[VISUAL_DIMENSION:], self._languages.encode(words)
        agreement = float(mapped @ semantic)
        if agreement < ENGLISH:
            vector[VISUAL_DIMENSION:] = mapped if agreement < OTHER_LANGUAGE else unit_vector(semantic + mapped)
        return vector

    def english(self, words: str) -> Float32Vector:
        """Return the unit vector (512,) of English words."""
        vector = np.zeros(self.dimension, np.float32)
        vector[VISUAL_DIMENSION:] = unit_vector(self._sentences.encode(words) - self._text_centre)
        return vector

    def close(self) -> None:
        """Let go of the weights; a later call reads them again."""
        with self._lock:
            for name, value in vars(BundledEmbedder).items():
                if isinstance(value, cached_property):
                    self.__dict__.pop(name, None)

    def _classify(self, pixels: npt.NDArray[np.float32]) -> _Seen:
        with self._lock:
            session = self._classifier
        wanted = ["features", "class_scores", "middle_features"]
        features, class_scores, middle = session.run(wanted, {"pixels": pixels})
        return _Seen(features[0], class_scores[0], middle[0])

    @cached_property
    def _classifier(self) -> ort.InferenceSession:
        return open_session(self._manifest.read("efficientnet-lite0.onnx"), self._threads)

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        tokens = int(self._manifest.recipe["longest_query_tokens"])
        return SentenceEncoder(self._manifest.read("tokenizer.json"), tokens, self._threads)

    @cached_property
    def _languages(self) -> LanguageEncoder | None:
        return LanguageEncoder() if installed() else None

    @cached_property
    def _class_texts(self) -> npt.NDArray[np.float32]:
        return self._matrix("class_texts.npy")

    @cached_property
    def _directions(self) -> npt.NDArray[np.float32]:
        return self._matrix("directions.npy")

    @cached_property
    def _direction_texts(self) -> npt.NDArray[np.float32]:
        return self._matrix("direction_texts.npy")

    @cached_property
    def _text_centre(self) -> npt.NDArray[np.float32]:
        return self._matrix("text_centre.npy")

    @cached_property
    def _visual_projection(self) -> npt.NDArray[np.float32]:
        return self._matrix("visual_projection.npy")

    def _matrix(self, name: str) -> npt.NDArray[np.float32]:
        return np.asarray(np.load(BytesIO(self._manifest.read(name)), allow_pickle=False), np.float32)


def _softmax(scores: Float32Vector) -> Float32Vector:
    exponentials: Float32Vector = np.exp(scores - scores.max())
    return np.asarray(exponentials / exponentials.sum(), np.float32)
