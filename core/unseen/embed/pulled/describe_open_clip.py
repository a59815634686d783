"""What open_clip's configuration says: dimension, preprocessing, which files its text half needs.

For the device only. open_clip builds the network from the same file, and hands parts of it on to timm and transformers:
what could make those ask a hub, run a model's own code or read another file is refused (``refuse_reaching_out``).
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from unseen.embed.pulled.describe_pictures import open_clip_pictures
from unseen.embed.pulled.network_size import network_configuration, require_bounded
from unseen.embed.pulled.recipe import RecipeTable
from unseen.embed.pulled.upstream import Upstream, refused, whole

CONFIGURATION, TEXT_CONFIGURATION = "open_clip_config.json", "text_config.json"
TEXT_HALVES = ("bert", "roberta", "xlm-roberta")
"""Networks that transformers builds from numbers alone."""
TOKENIZER_OPTIONS = ("clean", "strip_sep_token")
"""Of what a configuration can tell a tokenizer: the rest goes on to transformers, ``trust_remote_code`` among it."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def open_clip_recipe(upstream: Upstream) -> tuple[RecipeTable, tuple[str, ...], str | None]:
    """RecipeTable, files, and the repository of the text model whose configuration is wanted; raises InvalidInput."""
    told = upstream.json(CONFIGURATION)
    require_bounded(told)
    model = told.get("model_cfg")
    if not isinstance(model, dict) or not isinstance(model.get("text_cfg"), dict):
        raise refused(f"a {CONFIGURATION} without model_cfg and text_cfg", "both")
    text, vision = model["text_cfg"], model.get("vision_cfg") or {}
    if "multimodal_cfg" in model:
        raise refused("a captioner (CoCa)", "a model of pictures and words")
    recipe: RecipeTable = {
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
    refuse_reaching_out(model, files)
    if text_model and TEXT_CONFIGURATION in upstream.present:
        text_half(upstream.read(TEXT_CONFIGURATION))
        return recipe, tuple(files), None
    return recipe, tuple(files), text_model


def refuse_reaching_out(model: dict[str, Any], files: Container[str]) -> None:
    """Raise InvalidInput for a configuration by which open_clip, timm or transformers look beyond these files."""
    text, vision = model["text_cfg"], model.get("vision_cfg") or {}
    if not isinstance(text.get("hf_model_name") or "", str):
        raise refused("a text half that has no name", "OWNER/NAME as hf_model_name")
    if text.get("hf_model_name") and TEXT_CONFIGURATION not in files:
        raise refused(f"a text half of its own and no {TEXT_CONFIGURATION}", "config.json of that half under this name")
    if ":" in str(vision.get("timm_model_name") or ""):
        raise refused("a picture half that lies on a hub", "one that timm knows by name")
    if unknown := sorted(set(text.get("tokenizer_kwargs") or {}) - set(TOKENIZER_OPTIONS)):
        raise refused(f"tokenizer_kwargs {', '.join(unknown)[:80]}", "none but " + ", ".join(TOKENIZER_OPTIONS))


def text_half(configuration: bytes) -> dict[str, Any]:
    """Return config.json of a text half; raises InvalidInput for a network that is not known to need nothing else."""
    told = network_configuration(configuration)
    if told.get("model_type") not in TEXT_HALVES:
        raise refused(f"a text half of type {str(told.get('model_type'))[:40]!r}", "one of " + ", ".join(TEXT_HALVES))
    return told
