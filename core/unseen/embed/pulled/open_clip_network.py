"""ViT-B-32, MobileCLIP2, SigLIP 2, BiomedCLIP and the rest of open_clip's models, by open_clip itself.

For the device only. The library builds the network from open_clip_config.json, with random weights and without asking
any hub; ours are put in after.

Licences are the models': `unseen models info` shows what was said when one was pulled (docs/models.md).
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from unseen.embed.pulled.describe_open_clip import (
    CONFIGURATION,
    TEXT_CONFIGURATION,
    TOKENIZER_FILES,
    refuse_reaching_out,
    text_half,
)
from unseen.embed.pulled.network import Float32Array
from unseen.embed.pulled.network_size import network_configuration
from unseen.embed.pulled.recipe import Recipe, file_named
from unseen.embed.pulled.torch_weights import fill, library, tensors_of
from unseen.embed.pulled.upstream import without_code
from unseen.embed.pulled.words import check_words
from unseen.weights import Manifest

BUFFERS = ("position_ids", "attn_mask")


class OpenClipNetwork:
    """Both halves of the model, opened together."""

    def __init__(self, recipe: Recipe, manifest: Manifest) -> None:
        self._torch = library("torch")
        open_clip = library("open_clip")
        weights = file_named(recipe, manifest, "weights")
        tensors = tensors_of(weights, manifest.read(weights))
        with tempfile.TemporaryDirectory(prefix="unseen-") as folder:
            _lay_out(Path(folder), manifest)
            place = f"local-dir:{folder}"
            with _without_warnings_of_no_weights():
                model = open_clip.create_model(place, load_weights=False, pretrained_text=False)
            self._tokens = open_clip.get_tokenizer(place)
        self._model = fill(model, tensors, may_miss=BUFFERS)
        self._cutting = Lock()

    def picture(self, numbers: Float32Array) -> Float32Array:
        """Return upstream's encode_image of a prepared picture."""
        with self._torch.inference_mode():
            return _numbers(self._model.encode_image(self._torch.from_numpy(numbers)))

    def words(self, words: str) -> Float32Array:
        """Return upstream's encode_text of words, cut by upstream's tokenizer."""
        check_words(words)
        with self._cutting:  # transformers' tokenizers set their padding anew when they are called
            tokens = self._tokens([words])
        with self._torch.inference_mode():
            return _numbers(self._model.encode_text(tokens))


@contextmanager
def _without_warnings_of_no_weights() -> Iterator[None]:
    """open_clip warns, on the root logger, that it found no weights; they come after, from checked bytes."""
    root, nothing = logging.getLogger(), logging.NullHandler()

    def keep(record: logging.LogRecord) -> bool:
        return record.module != "factory"

    root.addHandler(nothing)  # without any, the library's first warning would set up printing for good
    root.addFilter(keep)
    try:
        yield
    finally:
        root.removeFilter(keep)
        root.removeHandler(nothing)


def _lay_out(folder: Path, manifest: Manifest) -> None:
    """Put the small files, checked, where the library looks for them: it takes no bytes."""
    told = network_configuration(manifest.read(CONFIGURATION))
    refuse_reaching_out(told["model_cfg"], manifest.files)
    if TEXT_CONFIGURATION in manifest.files:
        (folder / "text").mkdir()
        (folder / "text" / "config.json").write_text(json.dumps(text_half(manifest.read(TEXT_CONFIGURATION))))
        told["model_cfg"]["text_cfg"]["hf_model_name"] = str(folder / "text")
    (folder / CONFIGURATION).write_text(json.dumps(told))
    for name in TOKENIZER_FILES:
        if name in manifest.files:
            data = manifest.read(name)
            is_configuration = name == "tokenizer_config.json"
            (folder / name).write_bytes(json.dumps(without_code(data)).encode() if is_configuration else data)


def _numbers(features: Any) -> Float32Array:
    return np.asarray(features[0].numpy(), np.float32)
