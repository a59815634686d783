"""From the files that upstream publishes to a recipe: which adapter, which preprocessing, which numbers.

For the device only. Reads configurations, never weights. What it does not understand it refuses: a guess would make
vectors that are a little wrong, and nobody would notice.

Which adapter: what ``adapter`` says, else the first of these that is there: modules.json (sentence-transformers),
open_clip_config.json (open_clip), *.onnx without safetensors (ONNX), config.json (transformers).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from unseen.embed.pulled.describe_open_clip import open_clip_recipe
from unseen.embed.pulled.describe_pictures import picture_recipe
from unseen.embed.pulled.describe_words import sentence_recipe, word_recipe
from unseen.embed.pulled.network_size import require_bounded
from unseen.embed.pulled.recipe import (
    ADAPTERS,
    FIRST,
    ONNX,
    OPEN_CLIP,
    SENTENCES,
    TRANSFORMERS,
    RecipeTable,
    checked_recipe,
)
from unseen.embed.pulled.upstream import Upstream, refused, whole
from unseen.errors import InvalidInput

KINDS = ("clip", "siglip", "chinese_clip")
PICTURE_KINDS = ("dinov2", "vit")
"""Encoders of pictures that read no words; their vector is the first token, which stands for the whole picture."""
PROJECTION_DEFAULT = 512
SIGLIP_WIDTH_DEFAULT = 768
PICTURE_ONNX, WORDS_ONNX, ONLY_ONNX = "vision_model.onnx", "text_model.onnx", "model.onnx"


@dataclass(frozen=True)
class Described:
    """What a model's folder is to hold."""

    recipe: RecipeTable
    files: tuple[str, ...]
    """Names, as upstream has them, of what is read when the model is opened; every one will be pinned."""
    text_model: str | None = None
    """The repository whose config.json is wanted as text_config.json: open_clip's configuration names one."""


def describe(
    name: str,
    revision: str,
    present: Collection[str],
    read: Callable[[str], bytes],
    *,
    adapter: str | None = None,
    pickles: Collection[str] = (),
) -> Described:
    """Describe a model by the names of its files and the small ones among them.

    read: the bytes of a file that is present. adapter: one of ADAPTERS, where several fit. pickles: weights in pickles
    whose SHA-256 somebody vouches for; all others are passed over. Raises InvalidInput for what is not understood.
    """
    upstream = Upstream(frozenset(present), read, frozenset(pickles))
    chosen = adapter or _adapter_for(upstream)
    if chosen not in ADAPTERS:
        raise InvalidInput(f"got adapter {chosen!r}, expected one of {', '.join(ADAPTERS)}")
    described = _described(chosen, upstream)
    told: RecipeTable = {"name": name, "adapter": chosen, "revision": revision, **described.recipe}
    checked_recipe(told, described.files)
    return Described(told, described.files, described.text_model)


def _described(adapter: str, upstream: Upstream) -> Described:
    by_adapter = {ONNX: _onnx, OPEN_CLIP: _open_clip, SENTENCES: _sentences, TRANSFORMERS: _transformers}
    try:
        return by_adapter[adapter](upstream)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise refused("a configuration that cannot be understood", f"one as {adapter[:-2]} writes it") from error


def _adapter_for(upstream: Upstream) -> str:
    if "modules.json" in upstream.present:
        return SENTENCES
    if "open_clip_config.json" in upstream.present:
        return OPEN_CLIP
    if any(name.endswith(".onnx") for name in upstream.present) and "model.safetensors" not in upstream.present:
        return ONNX
    if "config.json" in upstream.present:
        return TRANSFORMERS
    raise refused("no config.json, open_clip_config.json or modules.json", "the files of a model that Unseen can open")


def _transformers(upstream: Upstream) -> Described:
    kind, dimension = _joint_model(upstream)
    weights = upstream.weights("model.safetensors", "pytorch_model.bin")
    words, tokenizer = word_recipe(upstream, kind)
    recipe: RecipeTable = {"dimension": dimension, "weights": weights, **picture_recipe(upstream), **words}
    return Described(recipe, ("config.json", weights, tokenizer))


def _onnx(upstream: Upstream) -> Described:
    if upstream.json("config.json").get("model_type") in PICTURE_KINDS:
        return _pictures_alone(upstream)
    kind, dimension = _joint_model(upstream)
    found = [upstream.one_of(f"onnx/{name}", name) for name in (PICTURE_ONNX, WORDS_ONNX)]
    outputs = ("pooler_output", "pooler_output") if kind == "siglip" else ("image_embeds", "text_embeds")
    words, tokenizer = word_recipe(upstream, kind)
    recipe: RecipeTable = {
        "dimension": dimension,
        "picture_file": found[0],
        "picture_output": outputs[0],
        "words_file": found[1],
        "words_output": outputs[1],
        **picture_recipe(upstream),
        **words,
    }
    return Described(recipe, (*found, tokenizer))


def _pictures_alone(upstream: Upstream) -> Described:
    told = upstream.json("config.json")
    require_bounded(told)
    file = upstream.one_of(f"onnx/{ONLY_ONNX}", ONLY_ONNX)
    recipe: RecipeTable = {
        "dimension": whole(told.get("hidden_size"), "a dimension"),
        "picture_file": file,
        "picture_output": "last_hidden_state",
        "picture_pooling": FIRST,
        **picture_recipe(upstream),
    }
    return Described(recipe, (file,))


def _sentences(upstream: Upstream) -> Described:
    weights = upstream.weights("model.safetensors", "pytorch_model.bin")
    recipe, tokenizer = sentence_recipe(upstream)
    return Described({"weights": weights, **recipe}, ("config.json", weights, tokenizer))


def _open_clip(upstream: Upstream) -> Described:
    names = ["open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"]
    if "config.json" not in upstream.present:  # beside one, model.safetensors is the same model as transformers has it
        names.append("model.safetensors")
    weights = upstream.weights(*names)
    recipe, files, text_model = open_clip_recipe(upstream)
    return Described({"weights": weights, **recipe}, (*files, weights), text_model)


def _joint_model(upstream: Upstream) -> tuple[str, int]:
    told = upstream.json("config.json")
    require_bounded(told)
    kind = str(told.get("model_type"))
    if kind not in KINDS:
        raise refused(
            f"a model of type {kind!r}", "one of " + ", ".join(KINDS) + f"; {' and '.join(PICTURE_KINDS)} as ONNX files"
        )
    if kind != "siglip":
        return kind, int(told.get("projection_dim") or PROJECTION_DEFAULT)
    text = told.get("text_config") or {}
    return kind, int(text.get("projection_size") or text.get("hidden_size") or SIGLIP_WIDTH_DEFAULT)
