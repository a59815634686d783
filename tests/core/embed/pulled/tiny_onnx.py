"""An ONNX model of two matrices, in the layout that hubs have, and the same arithmetic in numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from PIL import Image

from tests.core.embed.pulled.folders import laid_out

SIDE_PX, DIMENSION = 8, 16
VOCABULARY = {word: number for number, word in enumerate(["[UNK]", "dog", "car", "red", "sea", "a", "the"])}
_GENERATOR = np.random.default_rng(11)
PICTURE_WEIGHTS = _GENERATOR.normal(size=(3 * SIDE_PX * SIDE_PX, DIMENSION)).astype(np.float32)
WORD_WEIGHTS = _GENERATOR.normal(size=(len(VOCABULARY), DIMENSION)).astype(np.float32)
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "[UNK]"},
}
CONFIGURATION = {"model_type": "clip", "projection_dim": DIMENSION, "text_config": {"max_position_embeddings": 16}}
PREPROCESSOR = {"size": {"height": SIDE_PX, "width": SIDE_PX}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}


def _model(nodes: list[Any], given: list[Any], made: str, weights: np.ndarray) -> bytes:
    output = helper.make_tensor_value_info(made, TensorProto.FLOAT, [1, DIMENSION])
    graph = helper.make_graph(nodes, "tiny", given, [output], [numpy_helper.from_array(weights, "weights")])
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def _picture_model() -> bytes:
    given = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, SIDE_PX, SIDE_PX])
    nodes = [
        helper.make_node("Flatten", ["pixel_values"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["image_embeds"]),
    ]
    return _model(nodes, [given], "image_embeds", PICTURE_WEIGHTS)


def _word_model() -> bytes:
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, [1, "n"]) for name in ("input_ids",)]
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["by_token"]),
        helper.make_node("ReduceMean", ["by_token"], ["text_embeds"], axes=[1], keepdims=0),
    ]
    return _model(nodes, given, "text_embeds", WORD_WEIGHTS)


UPSTREAM: dict[str, bytes] = {
    "config.json": json.dumps(CONFIGURATION).encode(),
    "preprocessor_config.json": json.dumps(PREPROCESSOR).encode(),
    "tokenizer.json": json.dumps(TOKENIZER).encode(),
    "tokenizer_config.json": b'{"model_max_length": 16}',
    "onnx/vision_model.onnx": _picture_model(),
    "onnx/text_model.onnx": _word_model(),
    "README.md": b"not wanted",
}
"""What a hub holds."""
FILES = {name: UPSTREAM[name] for name in ("onnx/vision_model.onnx", "onnx/text_model.onnx", "tokenizer.json")}
"""What a device keeps of it."""
RECIPE: dict[str, str | int | float] = {
    "name": "tiny",
    "adapter": "onnx-1",
    "revision": "1",
    "dimension": DIMENSION,
    "picture_file": "onnx/vision_model.onnx",
    "picture_output": "image_embeds",
    "words_file": "onnx/text_model.onnx",
    "words_output": "text_embeds",
    "picture_side_px": SIDE_PX,
    "picture_resize": "squash",
    "picture_crop": "floor",
    "picture_interpolation": "bicubic",
    "picture_mean": "0.5 0.5 0.5",
    "picture_std": "0.25 0.25 0.25",
    "words_tokenizer": "tokenizer.json",
    "words_longest_tokens": 16,
    "words_filled": 0,
    "words_filler_id": 0,
    "words_filler_token": "",
    "words_filled_left": 0,
    "words_lower_case": 1,
    "words_prompt": "",
}


def model_with_weights_outside() -> bytes:
    """The picture model with its weights in a file beside it, as the onnx package writes one."""
    model = onnx.load_model_from_string(FILES["onnx/vision_model.onnx"])
    set_external_data(model.graph.initializer[0], "weights.bin")
    model.graph.initializer[0].ClearField("raw_data")
    return bytes(model.SerializeToString())


def tiny_model(folder: Path) -> Path:
    """A model's folder as a device has it."""
    return laid_out(folder, RECIPE, FILES)


def picture_twin(pixels: np.ndarray) -> np.ndarray:
    """Both sides to eight pixels, (value / 255 - 0.5) / 0.25, colours first, times the matrix, length one."""
    small = np.asarray(Image.fromarray(pixels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), np.float64)
    vector = ((small / 255 - 0.5) / 0.25).transpose(2, 0, 1).ravel() @ PICTURE_WEIGHTS
    return vector / np.linalg.norm(vector)


def words_twin(words: str) -> np.ndarray:
    """The mean of the words' rows, length one."""
    vector = WORD_WEIGHTS[[VOCABULARY.get(word, 0) for word in words.split()]].mean(axis=0)
    return vector / np.linalg.norm(vector)
