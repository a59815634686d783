"""Do words find their stamp, in English and in other languages, and does a picture find its like?

    python -m bench.languages [--languages en zh_TW] [--half reported] [--json FILE]

Needs `make pictures` and `unseen[languages]`. Captions of one half of Tux Paint's stamps are queries among all stamps.
The figure is the part of the captions whose own stamp is among the ten best (chance 0.025); beside it, the same without
the multilingual encoder, and among the stamps of the half alone (chance 0.05). Then each stamp of the half asks for the
nearest other one: is it of the same top folder?

The halves are told apart by the hash of the path. The model's settings were chosen on ``--half tuning``; how far the
reported half was looked at meanwhile: docs/decisions/0022-the-bundled-model-is-taught-drawings.md.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.labelled_pictures import STAMPS, embedder, is_reported, on_white, stamp_captions
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
    among_the_half: float
    """With it, among the stamps of the half alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--half", choices=("reported", "tuning"), default="reported")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = embedder()
    stamps = [(path, told, picture) for path, told in stamp_captions() for picture in on_white(iter([path]))]
    whole = np.stack([model.image(picture) for _, _, picture in stamps])
    rows = whole[:, VISUAL_DIMENSION:]
    asking = np.array([is_reported(path) == (given.half == "reported") for path, _, _ in stamps])
    found = []
    for language in given.languages:
        own = np.array([at for at in np.flatnonzero(asking).tolist() if stamps[at][1].get(language)])
        captions = [stamps[at][1][language] for at in own.tolist()]
        with_it = np.stack([model.text(caption) for caption in captions])[:, VISUAL_DIMENSION:]
        without = np.stack([model.english(caption) for caption in captions])[:, VISUAL_DIMENSION:]
        among = recall(with_it, rows[asking], np.searchsorted(np.flatnonzero(asking), own))
        found.append(Found(language, len(own), recall(with_it, rows, own), recall(without, rows, own), among))
    cells = [
        (one.language, f"{one.captions}", *(f"{part:.3f}" for part in (one.recall, one.without, one.among_the_half)))
        for one in found
    ]
    names = ("language", "captions", "found", "without", "among the half")
    print_table("own stamp among the ten best of its caption", cells, names)
    same = same_folder(whole, [path.relative_to(STAMPS).parts[0] for path, _, _ in stamps], asking)
    print(f"nearest other stamp of the same top folder: {same:.3f} of {asking.sum()}")
    write_json(given.json, {"half": given.half, "languages": [asdict(one) for one in found], "same_folder": same})


def recall(queries: Float32Matrix, rows: Float32Matrix, own: npt.NDArray[np.int64]) -> float:
    """The part of queries (m, 384) whose own row of (n, 384) is among the ten best."""
    scores = queries @ rows.T
    better = (scores > scores[np.arange(len(own)), own][:, None]).sum(axis=1)
    return float(np.mean(better < NEAREST))


def same_folder(rows: Float32Matrix, folders: list[str], asking: npt.NDArray[np.bool_]) -> float:
    """The part of the asking rows (n, 512) whose nearest other row is of the same folder."""
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    same = np.array([folders[at] == folders[nearest] for at, nearest in enumerate(scores.argmax(axis=1).tolist())])
    return float(same[asking].mean())


if __name__ == "__main__":
    main()
