"""Do words of other languages find what words in English find? On the captions of Tux Paint's stamps.

    python -m bench.languages [--languages en zh_TW] [--json FILE]

Needs `make pictures` and `unseen[languages]`. Each caption is a query among all stamps. The figure is the part of the
captions whose own stamp is among the ten best (chance 0.025); beside it, the same without the multilingual encoder. The
map between the encoders was learned from English words of WordNet (scripts/learn_language_map.py), the bounds that tell
English from other languages on Open Clip Art's names and names of emoji. That there are two bounds and not one was
decided after the English stamps had been looked at (docs/models.md).
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.labelled_pictures import embedder, on_white, stamp_captions
from bench.measure import print_table, write_json
from unseen.embed.bundled import VISUAL_DIMENSION

LANGUAGES = ("en", "zh_CN", "zh_TW", "ar", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr")
NEAREST = 10
Float32Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """How good one language is."""

    language: str
    captions: int
    recall: float
    without: float
    """Without the multilingual encoder."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = embedder()
    shown = [(model.image(picture), told) for path, told in stamp_captions() for picture in on_white(iter([path]))]
    rows = np.stack([row for row, _ in shown])[:, VISUAL_DIMENSION:]
    found = []
    for language in given.languages:
        own = np.array([at for at, (_, told) in enumerate(shown) if told.get(language)])
        captions = [shown[at][1][language] for at in own.tolist()]
        with_it = np.stack([model.text(caption) for caption in captions])[:, VISUAL_DIMENSION:]
        without = np.stack([model.english(caption) for caption in captions])[:, VISUAL_DIMENSION:]
        found.append(Found(language, len(own), recall(with_it, rows, own), recall(without, rows, own)))
    cells = [(one.language, f"{one.captions}", f"{one.recall:.3f}", f"{one.without:.3f}") for one in found]
    print_table("own stamp among the ten best of its caption", cells, ("language", "captions", "found", "without"))
    write_json(given.json, {"languages": [asdict(one) for one in found]})


def recall(queries: Float32Matrix, rows: Float32Matrix, own: npt.NDArray[np.int64]) -> float:
    """The part of queries (m, 384) whose own row of (n, 384) is among the ten best."""
    scores = queries @ rows.T
    better = (scores > scores[np.arange(len(own)), own][:, None]).sum(axis=1)
    return float(np.mean(better < NEAREST))


if __name__ == "__main__":
    main()
