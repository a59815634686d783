"""What open_clip's configuration says: dimension, preprocessing, which files its text half needs.

For the device only. open_clip builds the network from the same file; here it is only read.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from unseen.embed.pulled.describe_pictures import open_clip_pictures
from unseen.embed.pulled.upstream import Upstream, refused, whole

Recipe = dict[str, str | int | float]

CONFIGURATION, TEXT_CONFIGURATION = "open_clip_config.json", "text_config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def open_clip_recipe(upstream: Upstream) -> tuple[Recipe, tuple[str, ...], str | None]:
    """Recipe, files, and the repository of the text model whose configuration is wanted; raises InvalidInput."""
    told = upstream.json(CONFIGURATION)
    model = told.get("model_cfg")
    if not isinstance(model, dict) or not isinstance(model.get("text_cfg"), dict):
        raise refused(f"a {CONFIGURATION} without model_cfg and text_cfg", "both")
    text, vision = model["text_cfg"], model.get("vision_cfg") or {}
    if "multimodal_cfg" in model:
        raise refused("a captioner (CoCa)", "a model of pictures and words")
    recipe: Recipe = {
        "dimension": whole(model.get("embed_dim"), "embed_dim"),
        **open_clip_pictures(told.get("preprocess_cfg") or {}, vision.get("image_size")),
    }
    files = [CONFIGURATION]
    if text.get("hf_tokenizer_name") or text.get("hf_model_name"):
        found = [name for name in TOKENIZER_FILES if name in upstream.present]
        if not found:
            raise refused("no tokenizer beside it", "tokenizer.json among the model's files")
        files += found
    text_model = text.get("hf_model_name")
    if text_model:
        files.append(TEXT_CONFIGURATION)
    refuse_hubs(model, files)
    return recipe, tuple(files), None if TEXT_CONFIGURATION in upstream.present else text_model


def refuse_hubs(model: dict[str, Any], files: Container[str]) -> None:
    """Raise InvalidInput for a configuration with which open_clip or timm would ask a hub when the model is opened."""
    if model["text_cfg"].get("hf_model_name") and TEXT_CONFIGURATION not in files:
        raise refused(f"a text half of its own and no {TEXT_CONFIGURATION}", "config.json of that half under this name")
    if ":" in str((model.get("vision_cfg") or {}).get("timm_model_name") or ""):
        raise refused("a picture half that lies on a hub", "one that timm knows by name")
