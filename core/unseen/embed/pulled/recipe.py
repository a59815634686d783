"""The recipe of a pulled model: everything beside its files that decides a vector, read out of its manifest.

For the device only. A manifest comes from somebody else, so every value is checked before anything is opened.

A model's folder holds its files and ``manifest.toml``: [recipe] (what is here), [files] (SHA-256 and size of each), and
[about] (licence, origin), which decides nothing and is not hashed. The id is ``name:`` and the first 12 hex digits of
the hash over the recipe and all files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from unseen.embed.pulled.picture import EVEN, FILTERS, FLOOR, SHORTEST, SQUASH, PictureInput
from unseen.embed.pulled.words import JSON_FILE, VOCABULARY_FILE, WordInput
from unseen.errors import InvalidConfiguration
from unseen.weights import Manifest

Values = Mapping[str, str | int | float]
RecipeTable = dict[str, str | int | float]
"""[recipe] while it is made up."""

ONNX, TRANSFORMERS, OPEN_CLIP, SENTENCES = "onnx-1", "transformers-1", "open_clip-1", "sentence-transformers-1"
"""What opens the files. The number rises when the same files would give other vectors."""
ADAPTERS = (ONNX, TRANSFORMERS, OPEN_CLIP, SENTENCES)
MEAN, FIRST, LARGEST = POOLINGS = ("mean", "cls", "max")
"""How the numbers of every token become one vector: by their mean, as the first token's, by the largest of each."""
HASH_PREFIX_DIGITS = 12
SMALLEST_DIMENSION, LARGEST_DIMENSION = 8, 4096
LARGEST_SIDE_PX = 1024
LONGEST_TOKENS = 8192
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")


@dataclass(frozen=True)
class Recipe:
    """A manifest's recipe, checked."""

    name: str
    adapter: str
    revision: str
    dimension: int
    picture: PictureInput | None
    """None where the model reads no pictures."""
    words: WordInput | None
    """None where the model reads no words, or where its own library cuts them (open_clip)."""
    values: Values
    """All of it, for what only one adapter knows."""

    @property
    def reads_words(self) -> bool:
        """Whether it turns words into vectors."""
        return self.words is not None or self.adapter == OPEN_CLIP


def model_id_of(manifest: Manifest) -> str:
    """Name and hash prefix of everything that decides a vector."""
    return f"{manifest.recipe['name']}:{manifest.fingerprint()[:HASH_PREFIX_DIGITS]}"


def read_recipe(manifest: Manifest) -> Recipe:
    """Return the recipe of a pulled model; raises InvalidConfiguration for one that says too little or too much."""
    return checked_recipe(manifest.recipe, manifest.files)


def checked_recipe(values: Values, files: Collection[str]) -> Recipe:
    """Return the recipe of a model with files of these names; raises InvalidConfiguration as ``read_recipe`` does."""
    for name in files:
        if not _FILE_NAME.fullmatch(name):
            raise _wrong("a file's name", name[:40], "letters, digits, '.', '_', '-', and at most one folder")
    name = _text(values, "name")
    if not MODEL_NAME.fullmatch(name):
        raise _wrong("name", name[:60], "1 to 48 of a-z, 0-9, '.', '_', '-', first a letter or digit")
    return Recipe(
        name=name,
        adapter=_one_of(values, "adapter", ADAPTERS),
        revision=_text(values, "revision"),
        dimension=_number(values, "dimension", SMALLEST_DIMENSION, LARGEST_DIMENSION),
        picture=_picture(values) if "picture_side_px" in values else None,
        words=_words(values, files) if "words_tokenizer" in values else None,
        values=values,
    )


def _picture(values: Values) -> PictureInput:
    std = _three(values, "picture_std")
    if min(std) <= 0:
        raise _wrong("picture_std", "a number below or at zero", "three numbers above zero")
    return PictureInput(
        side_px=_number(values, "picture_side_px", 8, LARGEST_SIDE_PX),
        resize=_one_of(values, "picture_resize", (SHORTEST, SQUASH)),
        crop=_one_of(values, "picture_crop", (FLOOR, EVEN)),
        interpolation=_one_of(values, "picture_interpolation", tuple(FILTERS)),
        mean=_three(values, "picture_mean"),
        std=std,
    )


def _words(values: Values, files: Collection[str]) -> WordInput:
    tokenizer = _one_of(values, "words_tokenizer", (JSON_FILE, VOCABULARY_FILE))
    if tokenizer not in files:
        raise _wrong("words_tokenizer", tokenizer, "a file of the manifest")
    return WordInput(
        tokenizer=tokenizer,
        longest_tokens=_number(values, "words_longest_tokens", 1, LONGEST_TOKENS),
        filled=bool(_number(values, "words_filled", 0, 1)),
        filler_id=_number(values, "words_filler_id", 0, 1 << 31),
        filler_token=_text(values, "words_filler_token"),
        filled_left=bool(_number(values, "words_filled_left", 0, 1)),
        lower_case=bool(_number(values, "words_lower_case", 0, 1)),
        prompt=_text(values, "words_prompt"),
    )


def file_named(recipe: Recipe, manifest: Manifest, key: str) -> str:
    """Return the file that the recipe names under a key; raises InvalidConfiguration unless it is pinned."""
    name = _text(recipe.values, key)
    if name not in manifest.files:
        raise _wrong(key, name[:60], "a file of the manifest")
    return name


def text_of(recipe: Recipe, key: str) -> str:
    """Return a text of the recipe; raises InvalidConfiguration when there is none."""
    return _text(recipe.values, key)


def _text(values: Values, key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise _wrong(key, "none" if value is None else type(value).__name__, "a text")
    return value


def _number(values: Values, key: str, least: int, most: int) -> int:
    value = values.get(key)
    if not isinstance(value, int) or not least <= value <= most:
        raise _wrong(key, str(value)[:20], f"a whole number from {least} to {most}")
    return int(value)


def _one_of(values: Values, key: str, known: tuple[str, ...]) -> str:
    value = _text(values, key)
    if value not in known:
        raise _wrong(key, value[:40], "one of " + ", ".join(known))
    return value


def _three(values: Values, key: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(part) for part in _text(values, key).split())
    except ValueError:
        raise _wrong(key, "something else", "three numbers in one text") from None
    if not all(abs(value) < 1e4 for value in (red, green, blue)):
        raise _wrong(key, "numbers that are too large or none", "three numbers in one text")
    return red, green, blue


def _wrong(key: str, got: str, expected: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"got a model with {key} = {got!r}, expected {expected}; take another revision, or ask who made it"
    )
