"""What is not understood is refused: a guess would make vectors that are a little wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unseen.embed.pulled.describe import Described, describe
from unseen.errors import InvalidInput

PREPROCESSOR = {
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "size": {"shortest_edge": 224},
    "resample": 3,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
CLIP: dict[str, Any] = {
    "config.json": {"model_type": "clip", "projection_dim": 512, "text_config": {}},
    "preprocessor_config.json": PREPROCESSOR,
    "tokenizer.json": {},
    "tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77},
    "model.safetensors": None,
}
VISION: dict[str, Any] = {
    "config.json": {"model_type": "dinov2", "hidden_size": 768},
    "preprocessor_config.json": PREPROCESSOR,
    "onnx/model.onnx": None,
}
OPEN_CLIP: dict[str, Any] = {
    "open_clip_config.json": {
        "model_cfg": {"embed_dim": 512, "vision_cfg": {"image_size": 224}, "text_cfg": {"context_length": 77}},
        "preprocess_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1]},
    },
    "open_clip_model.safetensors": None,
}
SENTENCE: dict[str, Any] = {
    "modules.json": [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
        {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    "config_sentence_transformers.json": {"prompts": {"query": "query: "}, "default_prompt_name": "query"},
    "config.json": {"model_type": "bert", "max_position_embeddings": 512},
    "tokenizer.json": {},
    "model.safetensors": None,
}


def described(files: dict[str, Any], **options: Any) -> Described:
    return describe("m", "r", set(files), lambda name: json.dumps(files[name]).encode(), **options)


def changed(files: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    return {**files, name: {**files.get(name, {}), **changes}}


def test_an_encoder_of_pictures_alone_is_described_as_an_onnx_file_and_no_other() -> None:
    found = described(VISION)
    assert found.files == ("onnx/model.onnx",)
    assert (found.recipe["dimension"], found.recipe["picture_side_px"], found.recipe["adapter"]) == (768, 224, "onnx-1")
    assert not any(key.startswith("words") for key in found.recipe)
    with pytest.raises(InvalidInput, match="dinov2 and vit as ONNX files"):
        described({**VISION, "model.safetensors": None})
    for wrong in ({"hidden_size": "wide"}, {"hidden_size": 768, "num_hidden_layers": 4000}):
        with pytest.raises(InvalidInput):
            described({**VISION, "config.json": {"model_type": "vit", **wrong}})


def test_a_clip_is_described_in_full() -> None:
    found = described(CLIP)
    assert found.files == ("config.json", "model.safetensors", "tokenizer.json")
    assert found.recipe == {
        "name": "m",
        "adapter": "transformers-1",
        "revision": "r",
        "dimension": 512,
        "weights": "model.safetensors",
        "picture_side_px": 224,
        "picture_resize": "shortest",
        "picture_crop": "floor",
        "picture_interpolation": "bicubic",
        "picture_mean": "0.5 0.5 0.5",
        "picture_std": "0.5 0.5 0.5",
        "words_tokenizer": "tokenizer.json",
        "words_longest_tokens": 77,
        "words_filled": 0,
        "words_filler_id": 0,
        "words_filler_token": "",
        "words_filled_left": 0,
        "words_lower_case": 0,
        "words_prompt": "",
    }


@pytest.mark.parametrize("size", [224, {"shortest_edge": 224}])
def test_old_and_new_ways_to_write_a_size_mean_the_same(size: object) -> None:
    files = changed(CLIP, "preprocessor_config.json", size=size, crop_size=224)
    assert described(files).recipe == described(CLIP).recipe
    nested = {**CLIP, "processor_config.json": {"image_processor": PREPROCESSOR}}
    del nested["preprocessor_config.json"]
    assert described(nested).recipe == described(CLIP).recipe


def test_siglip_2_is_filled_and_written_small() -> None:
    files = changed(CLIP, "config.json", model_type="siglip", text_config={"hidden_size": 768})
    files = changed(files, "tokenizer_config.json", tokenizer_class="GemmaTokenizer", pad_token={"content": "<pad>"})
    files["tokenizer.json"] = {"added_tokens": [{"content": "<pad>", "id": 0}]}
    recipe = described(files).recipe
    told = [recipe[f"words_{key}"] for key in ("filled", "filler_token", "filled_left", "lower_case", "longest_tokens")]
    assert told == [1, "<pad>", 1, 1, 64]
    right = changed(files, "tokenizer_config.json", padding_side="right")
    assert described(right).recipe["words_filled_left"] == 0
    with pytest.raises(InvalidInput, match="no token to fill"):
        described({**files, "tokenizer.json": {}})


def test_a_sentence_model_brings_its_prompt() -> None:
    recipe = described(SENTENCE).recipe
    told = [recipe[key] for key in ("dimension", "pooling", "words_prompt", "words_longest_tokens")]
    assert told == [384, "mean", "query: ", 256]
    assert "picture_side_px" not in recipe


def test_open_clip_comes_before_transformers_unless_another_is_asked_for() -> None:
    both = {**CLIP, **OPEN_CLIP}
    assert described(both).recipe["adapter"] == "open_clip-1"
    assert described(both).recipe["picture_crop"] == "even"
    assert described(both, adapter="transformers-1").recipe == described(CLIP).recipe
    with pytest.raises(InvalidInput, match="transformers-1"):
        described(both, adapter="keras")


def test_weights_of_transformers_beside_open_clips_are_not_taken_for_them() -> None:
    both = without({**CLIP, **OPEN_CLIP}, "open_clip_model.safetensors")
    with pytest.raises(InvalidInput, match=r"none of open_clip_model\.safetensors"):
        described(both)
    converted = "open_clip_pytorch_model.safetensors"
    assert described({**both, converted: None}).recipe["weights"] == converted
    alone = {**without(OPEN_CLIP, "open_clip_model.safetensors"), "model.safetensors": None}
    assert described(alone).recipe["weights"] == "model.safetensors"


def test_a_text_half_of_its_own_is_asked_for_by_name() -> None:
    told = json.loads(json.dumps(OPEN_CLIP["open_clip_config.json"]))
    told["model_cfg"]["text_cfg"] |= {"hf_model_name": "somebody/bert"}
    files = {**OPEN_CLIP, "open_clip_config.json": told, "tokenizer.json": {}}
    assert described(files).text_model == "somebody/bert"
    assert "text_config.json" in described(files).files
    assert described({**files, "text_config.json": {"model_type": "bert"}}).text_model is None
    with pytest.raises(InvalidInput, match="text half of type"):
        described({**files, "text_config.json": {"model_type": "gpt2"}})
    del files["tokenizer.json"]
    with pytest.raises(InvalidInput, match="no tokenizer"):
        described(files)


def open_clip(**changes: Any) -> dict[str, Any]:
    return changed(OPEN_CLIP, "open_clip_config.json", **changes)


def without(files: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in files.items() if key != name}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "no config.json"),
    "another type": (changed(CLIP, "config.json", model_type="llama"), "llama"),
    "no weights": (without(CLIP, "model.safetensors"), "none of model.safetensors"),
    "no tokenizer": (without(CLIP, "tokenizer.json"), "tokenizer.json"),
    "no preprocessing": (without(CLIP, "preprocessor_config.json"), "processor_config.json"),
    "no crop": (changed(CLIP, "preprocessor_config.json", do_center_crop=False), "not cropped"),
    "smaller crop": (changed(CLIP, "preprocessor_config.json", size={"shortest_edge": 256}), "cropped to 224"),
    "not square": (changed(CLIP, "preprocessor_config.json", size={"height": 2, "width": 3}), "square"),
    "no scaling": (changed(CLIP, "preprocessor_config.json", do_rescale=False), "leaves out"),
    "other scaling": (changed(CLIP, "preprocessor_config.json", rescale_factor=1.0), "1/255"),
    "other filter": (changed(CLIP, "preprocessor_config.json", resample=1), "resample"),
    "two colours": (changed(CLIP, "preprocessor_config.json", image_mean=[1, 2]), "three"),
    "half a pixel": (changed(CLIP, "preprocessor_config.json", size=0.5), "whole number"),
    "configuration of nonsense": ({**CLIP, "config.json": {"model_type": "clip", "text_config": 3}}, "understood"),
    "configuration without names": ({**CLIP, "config.json": [1]}, "without names"),
    "longest": (open_clip(preprocess_cfg={"resize_mode": "longest"}), "longest"),
    "no dimension": (open_clip(model_cfg={"text_cfg": {}}), "embed_dim"),
    "captioner": (open_clip(model_cfg={"text_cfg": {}, "multimodal_cfg": {}}), "captioner"),
    "picture half on a hub": (
        open_clip(model_cfg={"embed_dim": 8, "text_cfg": {}, "vision_cfg": {"timm_model_name": "hf-hub:a/b"}}),
        "on a hub",
    ),
    "text half without a name": (
        {**open_clip(model_cfg={"embed_dim": 8, "text_cfg": {"hf_model_name": ["a/b"]}}), "tokenizer.json": {}},
        "no name",
    ),
    "code for the tokenizer": (
        open_clip(model_cfg={"embed_dim": 8, "text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}),
        "trust_remote_code",
    ),
    "another file for the tokenizer": (
        open_clip(model_cfg={"embed_dim": 8, "text_cfg": {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}}),
        "bpe_path",
    ),
    "an encoder that fetches its parts": (changed(SENTENCE, "config.json", model_type="timm_wrapper"), "timm_wrapper"),
    "a dense layer": (
        {**SENTENCE, "modules.json": [*SENTENCE["modules.json"], {"type": "x.Dense", "path": "3"}]},
        "Dense",
    ),
    "two poolings": (changed(SENTENCE, "1_Pooling/config.json", pooling_mode_cls_token=True), "none of mean"),
    "another pooling": (changed(SENTENCE, "1_Pooling/config.json", pooling_mode="lasttoken"), "none of mean"),
    "dimension": (changed(CLIP, "config.json", projection_dim=4097), "dimension = '4097'"),
    "picture side": (changed(CLIP, "preprocessor_config.json", size=4000, crop_size=4000), "picture_side_px"),
    "layers": (changed(CLIP, "config.json", text_config={"num_hidden_layers": 129}), "129 layers"),
    "hidden size": (changed(CLIP, "config.json", vision_config={"hidden_size": 10**400}), "hidden_size"),
    "weights": (
        changed(CLIP, "config.json", vision_config={"hidden_size": 1 << 15, "num_hidden_layers": 24}),
        "weights",
    ),
    "patches": (
        changed(CLIP, "config.json", vision_config={"hidden_size": 8192, "image_size": 1024, "patch_size": 1}),
        "weights",
    ),
    "side of its pictures": (changed(CLIP, "config.json", vision_config={"image_size": 1025}), "1025 pixels"),
    "layers of a sentence model": (changed(SENTENCE, "config.json", num_hidden_layers=1000), "1000 layers"),
    "width in open_clip": (
        open_clip(model_cfg={"embed_dim": 8, "text_cfg": {}, "vision_cfg": {"width": 1 << 20}}),
        "weights",
    ),
    "stages in open_clip": (
        open_clip(model_cfg={"embed_dim": 8, "text_cfg": {}, "vision_cfg": {"layers": [3, 4, 6, 300]}}),
        "300 layers",
    ),
    "ratio in open_clip": (
        open_clip(model_cfg={"embed_dim": 8, "text_cfg": {"width": 512, "layers": 12, "mlp_ratio": 1e6}}),
        "weights",
    ),
    "prompt left out": (changed(SENTENCE, "1_Pooling/config.json", include_prompt=False), "prompt"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused_by_name(case: str) -> None:
    files, told = REFUSED[case]
    with pytest.raises(InvalidInput, match=told):
        described(files)


def test_a_pickle_is_passed_over_unless_somebody_vouches_for_it() -> None:
    files = {**without(CLIP, "model.safetensors"), "pytorch_model.bin": None}
    with pytest.raises(InvalidInput, match="a pickle, which can hold code"):
        described(files)
    assert described(files, pickles=["pytorch_model.bin"]).recipe["weights"] == "pytorch_model.bin"
    both = {**CLIP, "pytorch_model.bin": None}
    assert described(both, pickles=["pytorch_model.bin"]).recipe["weights"] == "model.safetensors"


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 1664, "intermediate_size": 8192, "num_hidden_layers": 48, "vocab_size": 49408},
        {"hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 40, "vocab_size": 256_000},
        {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "vocab_size": 250_002},
        {"image_size": 512, "patch_size": 16, "hidden_size": 1152, "num_hidden_layers": 27},
    ],
)
def test_the_largest_published_networks_are_not_too_large(sizes: dict[str, int]) -> None:
    """The sizes of CLIP bigG, SigLIP 2 giant, XLM-RoBERTa large and SigLIP so400m."""
    assert described(changed(CLIP, "config.json", text_config=sizes)).recipe["dimension"] == 512


def test_a_refusal_shows_a_strangers_words_as_text() -> None:
    evil = "\x1b]0;owned\x07\n\u202e" + "x" * 1000
    for files in (
        changed(CLIP, "config.json", model_type=evil),
        {**without(CLIP, "model.safetensors"), f"{evil}.bin": 0},
    ):
        with pytest.raises(InvalidInput) as refusal:
            described(files)
        assert str(refusal.value).isprintable()
        assert len(str(refusal.value)) < 600


def test_a_configuration_nested_deeper_than_functions_may_call_is_read_or_refused() -> None:
    depth = 5000
    deep = b'{"model_type": "clip", "x": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(InvalidInput):
        describe("m", "r", {"config.json"}, lambda _: deep)
