"""Lists of words, read from ``data/words.tsv``. Public knowledge only."""

from __future__ import annotations

from importlib.resources import files


def word_list(name: str) -> frozenset[str]:
    """The words of a list, folded; KeyError when there is none of this name."""
    text = (files("unseen.deid.words") / "data" / "words.tsv").read_text(encoding="utf-8")
    lists = dict(line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return frozenset(lists[name].split())
