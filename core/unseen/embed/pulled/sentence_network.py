"""Sentence models in the layout of sentence-transformers: a transformer, a pooling, and no pictures.

For the device only. The layout is read here, so that transformers alone is needed; the tests hold the answers against
sentence-transformers' own.

Licences are the models': `unseen models info` shows what was said when one was pulled (docs/models.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.embed.pulled.describe_words import ENCODERS
from unseen.embed.pulled.network import Float32Array, reads_no
from unseen.embed.pulled.network_size import network_configuration
from unseen.embed.pulled.recipe import FIRST, MEAN, POOLINGS, Recipe, file_named, text_of
from unseen.embed.pulled.torch_weights import class_of, fill, library, tensors_of
from unseen.embed.pulled.words import Tokens
from unseen.errors import InvalidConfiguration
from unseen.weights import Manifest

CONFIGURATION = "config.json"
UNUSED = ("position_ids", "pooler.dense.weight", "pooler.dense.bias")
"""A BERT's own pooling of the first token, which no sentence model uses; and a buffer that older files hold."""


class SentenceNetwork:
    """A text encoder and the mean (or first, or largest) of its tokens."""

    def __init__(self, recipe: Recipe, manifest: Manifest) -> None:
        if recipe.words is None:
            raise reads_no("words", recipe)
        self._recipe = recipe
        self._pooling = text_of(recipe, "pooling")
        if self._pooling not in POOLINGS:
            raise InvalidConfiguration(f"got pooling {self._pooling!r}, expected one of {', '.join(POOLINGS)}")
        told = encoder_configuration(manifest.read(CONFIGURATION))
        self._torch = library("torch")
        configuration = class_of("transformers", "AutoConfig").for_model(**told)
        weights = file_named(recipe, manifest, "weights")
        tensors = tensors_of(weights, manifest.read(weights))
        self._model = fill(class_of("transformers", "AutoModel").from_config(configuration), tensors, may_miss=UNUSED)
        self._tokens = Tokens(recipe.words, manifest.read(recipe.words.tokenizer))

    def picture(self, numbers: Float32Array) -> Float32Array:
        """Refuse: a sentence model reads no pictures."""
        raise reads_no("pictures", self._recipe)

    def words(self, words: str) -> Float32Array:
        """Return the pooled tokens of words."""
        ids, mask = (self._torch.from_numpy(one) for one in self._tokens.of(words))
        with self._torch.inference_mode():
            by_token = self._model(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        return np.asarray(self._pooled(by_token).numpy(), np.float32)

    def _pooled(self, by_token: Any) -> Any:
        if self._pooling == FIRST:
            return by_token[0]
        return by_token.mean(dim=0) if self._pooling == MEAN else by_token.max(dim=0).values


def encoder_configuration(configuration: bytes) -> dict[str, Any]:
    """Return config.json of a text encoder that transformers builds from numbers alone; raises InvalidInput."""
    told = network_configuration(configuration)
    if told.get("model_type") not in ENCODERS:
        raise InvalidConfiguration(f"got a text encoder that is none of {', '.join(ENCODERS)}; pull the model again")
    return told
