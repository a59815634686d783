"""CLIP, SigLIP (and SigLIP 2 of fixed size) and Chinese-CLIP by Hugging Face's transformers.

For the device only. The library builds the network from numbers of config.json; no code of a model's repository runs.

Licences are the models': `unseen models info` shows what was said when one was pulled (docs/models.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.embed.pulled.network import Float32Array, reads_no
from unseen.embed.pulled.network_size import network_configuration
from unseen.embed.pulled.recipe import Recipe, file_named
from unseen.embed.pulled.torch_weights import class_of, fill, library, tensors_of
from unseen.embed.pulled.words import Tokens
from unseen.errors import InvalidConfiguration
from unseen.weights import Manifest

CONFIGURATION = "config.json"
SIGLIP = "siglip"
CLASSES = {
    "clip": ("CLIPConfig", "CLIPModel"),
    SIGLIP: ("SiglipConfig", "SiglipModel"),
    "chinese_clip": ("ChineseCLIPConfig", "ChineseCLIPModel"),
}
BUFFERS = ("position_ids",)
"""Counted from 0 up: files of older releases hold them."""


class TransformersNetwork:
    """Both halves of the model, opened together."""

    def __init__(self, recipe: Recipe, manifest: Manifest) -> None:
        if recipe.words is None:
            raise reads_no("words", recipe)
        self._kind, told = joint_configuration(manifest.read(CONFIGURATION))
        self._torch = library("torch")
        configuration, model = (class_of("transformers", name) for name in CLASSES[self._kind])
        weights = file_named(recipe, manifest, "weights")
        tensors = tensors_of(weights, manifest.read(weights))
        self._model = fill(model(configuration.from_dict(told)), tensors, may_miss=BUFFERS)
        self._tokens = Tokens(recipe.words, manifest.read(recipe.words.tokenizer))

    def picture(self, numbers: Float32Array) -> Float32Array:
        """Return upstream's get_image_features of a prepared picture."""
        with self._torch.inference_mode():
            return _numbers(self._model.get_image_features(pixel_values=self._torch.from_numpy(numbers)))

    def words(self, words: str) -> Float32Array:
        """Return upstream's get_text_features of words."""
        ids, mask = (self._torch.from_numpy(one) for one in self._tokens.of(words))
        inputs = {"input_ids": ids} if self._kind == SIGLIP else {"input_ids": ids, "attention_mask": mask}
        with self._torch.inference_mode():
            return _numbers(self._model.get_text_features(**inputs))


def joint_configuration(configuration: bytes) -> tuple[str, dict[str, Any]]:
    """Return the kind of a joint model, and its config.json; raises InvalidInput."""
    told = network_configuration(configuration)
    kind = str(told.get("model_type"))
    if kind not in CLASSES:
        raise InvalidConfiguration(f"got a model of type {kind[:40]!r}, expected one of {', '.join(CLASSES)}")
    return kind, told


def _numbers(features: Any) -> Float32Array:
    """A tensor up to transformers 4, an output with the projected features as ``pooler_output`` from 5 on."""
    projected = getattr(features, "pooler_output", features)
    return np.asarray(projected[0].numpy(), np.float32)
