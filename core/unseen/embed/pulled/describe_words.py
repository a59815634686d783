"""How words are cut, out of upstream's configurations: transformers' tokenizers, and sentence-transformers' modules.

For the device only. A layer after the pooling, and poolings that are not one of three, are refused.
"""

from __future__ import annotations

from typing import Any

from unseen.embed.pulled.network_size import require_bounded
from unseen.embed.pulled.recipe import FIRST, LARGEST, LONGEST_TOKENS, MEAN, POOLINGS, RecipeTable
from unseen.embed.pulled.upstream import Upstream, refused, whole
from unseen.embed.pulled.words import JSON_FILE, VOCABULARY_FILE
from unseen.json_text import read_json

POSITIONS_DEFAULT = {"clip": 77, "siglip": 64, "chinese_clip": 512}
"""What transformers assumes where config.json leaves it out."""
FILLED_LEFT = ("GemmaTokenizer", "GemmaTokenizerFast", "Siglip2Tokenizer")
"""Classes that fill on the left unless tokenizer_config.json says otherwise; all of them are SigLIP 2's."""
ENCODERS = ("albert", "bert", "camembert", "distilbert", "electra", "modernbert", "mpnet", "roberta", "xlm-roberta")
"""Text encoders that transformers builds from numbers alone; others may fetch parts of themselves."""
OLD_POOLINGS = {
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_cls_token": FIRST,
    "pooling_mode_max_tokens": LARGEST,
}


def word_recipe(upstream: Upstream, kind: str) -> tuple[RecipeTable, str]:
    """How a joint model of transformers has its words cut, and the tokenizer's file."""
    positions = (upstream.json("config.json").get("text_config") or {}).get("max_position_embeddings")
    told = upstream.json_or_nothing("tokenizer_config.json")
    longest = min(_longest(told), whole(positions or POSITIONS_DEFAULT[kind], "a longest text"))
    siglip = kind == "siglip"
    lower = siglip and _class(told) in FILLED_LEFT  # SigLIP 2 was taught with small letters alone
    return _recipe(upstream, told, longest, filled=siglip, lower=lower)


def sentence_recipe(upstream: Upstream) -> tuple[RecipeTable, str]:
    """How a sentence model works, and the tokenizer's file."""
    configuration = upstream.json("config.json")
    require_bounded(configuration)
    kind = str(configuration.get("model_type"))
    if kind not in ENCODERS:
        raise refused(f"a text encoder of type {kind[:40]!r}", "one of " + ", ".join(ENCODERS))
    pooling_folder = _pooling_folder(upstream)
    pooling = upstream.json(f"{pooling_folder}/config.json")
    if not pooling.get("include_prompt", True):
        raise refused("a pooling that leaves out the prompt", "one over all tokens")
    told = upstream.json_or_nothing("tokenizer_config.json")
    transformer = upstream.json_or_nothing("sentence_bert_config.json")
    positions = configuration.get("max_position_embeddings") or LONGEST_TOKENS
    longest = min(_longest(told), whole(transformer.get("max_seq_length") or positions, "a longest text"))
    recipe, tokenizer = _recipe(upstream, told, longest, filled=False, lower=bool(transformer.get("do_lower_case")))
    dimension = pooling.get("embedding_dimension") or pooling.get("word_embedding_dimension")
    return {
        **recipe,
        "dimension": whole(dimension, "a dimension"),
        "pooling": _pooling(pooling),
        "words_prompt": _prompt(upstream.json_or_nothing("config_sentence_transformers.json")),
    }, tokenizer


def _recipe(
    upstream: Upstream, told: dict[str, Any], longest: int, *, filled: bool, lower: bool
) -> tuple[RecipeTable, str]:
    tokenizer = upstream.one_of(JSON_FILE, VOCABULARY_FILE)
    if tokenizer == VOCABULARY_FILE and not told.get("do_lower_case", True):
        raise refused("a vocab.txt that keeps capital letters", f"{JSON_FILE}: save the tokenizer anew")
    filler, number = _filler(upstream, told) if filled else ("", 0)
    left = told.get("padding_side", "left" if _class(told) in FILLED_LEFT else "right") == "left"
    return {
        "words_tokenizer": tokenizer,
        "words_longest_tokens": longest,
        "words_filled": int(filled),
        "words_filler_id": number,
        "words_filler_token": filler,
        "words_filled_left": int(filled and left),
        "words_lower_case": int(lower),
        "words_prompt": "",
    }, tokenizer


def _filler(upstream: Upstream, told: dict[str, Any]) -> tuple[str, int]:
    token = told.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    tokenizer = read_json(upstream.read(upstream.one_of(JSON_FILE)))
    numbers = {one.get("content"): one.get("id") for one in tokenizer.get("added_tokens") or []}
    if not isinstance(token, str) or not isinstance(numbers.get(token), int):
        raise refused(
            "no token to fill short words up with", "pad_token in tokenizer_config.json and in tokenizer.json"
        )
    return token, whole(numbers[token], "a token's number")


def _longest(told: dict[str, Any]) -> int:
    longest = told.get("model_max_length") or LONGEST_TOKENS
    return int(min(longest, LONGEST_TOKENS)) if isinstance(longest, int | float) else LONGEST_TOKENS


def _class(told: dict[str, Any]) -> str:
    return str(told.get("tokenizer_class"))


def _pooling_folder(upstream: Upstream) -> str:
    modules = read_json(upstream.read("modules.json"))
    kinds = [str(one["type"]).rsplit(".", 1)[-1] for one in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or modules[0]["path"]:
        raise refused("layers " + ", ".join(kinds), "Transformer, Pooling and perhaps Normalize")
    return str(modules[1]["path"])


def _pooling(told: dict[str, Any]) -> str:
    named = told.get("pooling_mode")
    chosen = [named] if named else [mode for key, mode in OLD_POOLINGS.items() if told.get(key)]
    others = [
        key for key, on in told.items() if key.startswith("pooling_mode_") and on is True and key not in OLD_POOLINGS
    ]
    if len(chosen) != 1 or chosen[0] not in POOLINGS or others:
        raise refused("a pooling that is none of " + ", ".join(POOLINGS), "one of them")
    return str(chosen[0])


def _prompt(told: dict[str, Any]) -> str:
    name = told.get("default_prompt_name")
    return str((told.get("prompts") or {}).get(name) or "") if name else ""
