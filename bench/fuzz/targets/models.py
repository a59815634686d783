"""Models from strangers: what a hub answers, what upstream's configurations say, what a published manifest says.

No weights, and none of the libraries that would build a network from what is taken here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

from bench.fuzz.target import Target, as_tree
from unseen.embed.pulled.describe import describe
from unseen.embed.pulled.describe_open_clip import text_half
from unseen.embed.pulled.describe_words import ENCODERS
from unseen.embed.pulled.manifest_text import manifest_text
from unseen.embed.pulled.recipe import ONNX, OPEN_CLIP, SENTENCES, TRANSFORMERS, model_id_of, read_recipe
from unseen.embed.pulled.sentence_network import encoder_configuration
from unseen.embed.pulled.transformers_network import CLASSES, joint_configuration
from unseen.embed.pulled.upstream import Upstream
from unseen.errors import (
    DeadlineExceeded,
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    LimitExceeded,
    NotFound,
    ServerUnavailable,
)
from unseen.weights import PinnedFile, parse_manifest
from unseen_client.models.fetching import read_small
from unseen_client.models.hub import read_listing

HERE = Path()
PICTURES = {
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "size": {"shortest_edge": 224},
    "resample": 3,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
CLIP: dict[str, Any] = {
    "config.json": {"model_type": "clip", "projection_dim": 512, "text_config": {"max_position_embeddings": 77}},
    "preprocessor_config.json": PICTURES,
    "tokenizer.json": {},
    "tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77},
    "model.safetensors": None,
}
SIGLIP: dict[str, Any] = {
    "config.json": {"model_type": "siglip", "text_config": {"hidden_size": 768}},
    "processor_config.json": {"image_processor": PICTURES},
    "tokenizer.json": {"added_tokens": [{"content": "<pad>", "id": 0}]},
    "tokenizer_config.json": {"tokenizer_class": "GemmaTokenizer", "pad_token": {"content": "<pad>"}},
    "model.safetensors": None,
}
OF_OPEN_CLIP: dict[str, Any] = {
    "open_clip_config.json": {
        "model_cfg": {
            "embed_dim": 512,
            "vision_cfg": {"image_size": 224, "timm_model_name": "vit"},
            "text_cfg": {"hf_model_name": "a/b", "tokenizer_kwargs": {"clean": "canonicalize"}},
        },
        "preprocess_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1], "size": [224, 224], "resize_mode": "squash"},
    },
    "tokenizer.json": {},
    "open_clip_model.safetensors": None,
}
SENTENCE: dict[str, Any] = {
    "modules.json": [{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}],
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    "config_sentence_transformers.json": {"prompts": {"query": "query: "}, "default_prompt_name": "query"},
    "config.json": {"model_type": "bert", "max_position_embeddings": 512},
    "tokenizer.json": {},
    "model.safetensors": None,
}
ONNX_FILES = {"onnx/vision_model.onnx": None, "onnx/text_model.onnx": None}
LISTING = {
    "sha": "0" * 40,
    "siblings": [
        {"rfilename": "config.json", "size": 3, "blobId": "1" * 40},
        {"rfilename": "model.safetensors", "size": 9, "blobId": "2" * 40, "lfs": {"sha256": "3" * 64}},
    ],
    "cardData": {"license": "mit"},
}


def file_bytes(told: Any) -> bytes:
    """A file of a document of files: a text is its bytes, everything else is written as JSON."""
    if isinstance(told, str):
        return told.encode("utf-8", "surrogatepass")
    try:
        return json.dumps(told).encode()
    except RecursionError:
        return b"[" * 10_000


def described(adapter: str, model: dict[str, Any], main: str) -> Callable[[bytes], None]:
    """Describes a model whose files are a JSON object by name; other bytes are the ``main`` file of this one."""
    others = {name: file_bytes(one) for name, one in model.items()}

    def run(data: bytes) -> None:
        told = as_tree(data)
        files = (
            {name: file_bytes(one) for name, one in told.items()} if isinstance(told, dict) else others | {main: data}
        )
        found = describe("m", "r", set(files), files.__getitem__, adapter=adapter)
        text = manifest_text(found.recipe, [PinnedFile(name, "0" * 64, 1) for name in found.files], {"licence": "mit"})
        manifest = parse_manifest(text.encode().decode(), HERE)
        assert manifest.recipe == found.recipe
        assert read_recipe(manifest).adapter == adapter

    return run


def published(data: bytes) -> None:
    """The manifest of a model's folder that somebody made."""
    manifest = parse_manifest(data.decode("utf-8", "replace"), HERE)
    read_recipe(manifest)
    assert model_id_of(manifest)


def configuration(data: bytes) -> None:
    """config.json as the adapters read it, before a library sees it."""
    kind, told = joint_configuration(data)
    assert kind in CLASSES
    assert "auto_map" not in told


def encoder(data: bytes) -> None:
    assert encoder_configuration(data)["model_type"] in ENCODERS


def listing(data: bytes) -> None:
    found = read_listing(data)
    assert len(found.commit) == 40
    assert all(isinstance(one.size_bytes, int) for one in found.files.values())


def upstream_json(data: bytes) -> None:
    assert isinstance(Upstream(frozenset({"a.json"}), lambda _: data, frozenset()).json("a.json"), dict)


class Wire:
    """A connection on which one answer comes, whatever was asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: object, **__: object) -> BytesIO:
        return BytesIO(self._answer)

    def sendall(self, *_: object) -> None:
        """Nobody reads it."""

    setsockopt = settimeout = close = sendall


def answered(data: bytes) -> None:
    """A whole answer in HTTP, its headers and where it sends on to included."""
    with mock.patch("socket.create_connection", return_value=Wire(data)):
        assert len(read_small("http://127.0.0.1:1/a", 100)) <= 100


def _described(adapter: str, main: str, *models: dict[str, Any]) -> Target:
    seeds = (*(json.dumps(files).encode() for files in models), b"[]")
    run = described(adapter, models[0], main)
    return Target(f"embed.pulled.describe.{adapter}", run, (InvalidInput,), seeds, is_json=True)


MANIFEST = b"""[recipe]
name = "m"
adapter = "onnx-1"
revision = "r"
dimension = 512
picture_side_px = 224
picture_resize = "squash"
picture_crop = "floor"
picture_interpolation = "bicubic"
picture_mean = "0.5 0.5 0.5"
picture_std = "0.5 0.5 0.5"
words_tokenizer = "vocab.txt"
words_longest_tokens = 0x4d
words_filled = 0
words_filler_id = 0
words_filler_token = ""
words_filled_left = 0
words_lower_case = 0
words_prompt = ""
[about]
licence = "mit"
[files."vocab.txt"]
sha256 = "00"
size_bytes = 3
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:2/b\r\n\r\n"
TARGETS = (
    _described(TRANSFORMERS, "config.json", CLIP, SIGLIP),
    _described(ONNX, "config.json", {**CLIP, **ONNX_FILES}, {**SIGLIP, **ONNX_FILES}),
    _described(OPEN_CLIP, "open_clip_config.json", OF_OPEN_CLIP),
    _described(SENTENCES, "modules.json", SENTENCE),
    Target("embed.pulled.recipe.published", published, (InvalidConfiguration,), (MANIFEST,)),
    Target("embed.pulled.upstream.json", upstream_json, (InvalidInput,), (b'{"a":1}',), is_json=True),
    Target(
        "embed.pulled.transformers_network.configuration",
        configuration,
        (InvalidInput,),
        (file_bytes(CLIP["config.json"]), b'{"model_type":"siglip","auto_map":{"AutoModel":"a.B"}}'),
        is_json=True,
    ),
    Target(
        "embed.pulled.sentence_network.configuration",
        encoder,
        (InvalidInput,),
        (file_bytes(SENTENCE["config.json"]),),
        is_json=True,
    ),
    Target(
        "embed.pulled.describe_open_clip.text_half",
        text_half,
        (InvalidInput,),
        (b'{"model_type":"bert","auto_map":{}}',),
        is_json=True,
    ),
    Target("client.models.hub.listing", listing, (IntegrityError,), (file_bytes(LISTING),), is_json=True),
    Target(
        "client.models.fetching.answer",
        answered,
        (InvalidInput, NotFound, ServerUnavailable, DeadlineExceeded, LimitExceeded),
        (ANSWER, CHUNKED, ELSEWHERE),
        most_bytes=1024,
    ),
)
