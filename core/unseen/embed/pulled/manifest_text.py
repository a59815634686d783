"""Writes the manifest of a pulled model: TOML that ``unseen.weights`` reads.

Public: names, numbers and hashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from unseen.errors import InvalidInput
from unseen.weights import PinnedFile

HEAD = "# Written by `unseen models pull`. Every file is checked against this before it is opened."


def manifest_text(
    recipe: Mapping[str, str | int | float], files: Iterable[PinnedFile], about: Mapping[str, str]
) -> str:
    """Return the text of a manifest: the same text for the same model, whatever the order of its files.

    Raises InvalidInput for halves of characters, which JSON and command lines can hold and no file of text can.
    """
    lines = [HEAD, "", "[recipe]", *(f"{key} = {_value(value)}" for key, value in recipe.items())]
    lines += ["", "[about]", *(f"{key} = {_value(value)}" for key, value in about.items())]
    for file in sorted(files, key=lambda one: one.name):
        lines += ["", f"[files.{_value(file.name)}]", f'sha256 = "{file.sha256}"', f"size_bytes = {file.size_bytes}"]
    text = "\n".join(lines) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("got a model with texts that are no Unicode, expected what UTF-8 can write") from None
    return text


def _value(value: str | int | float) -> str:
    """JSON's texts and numbers are TOML's, once its escape of the one character that differs is left out."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)
