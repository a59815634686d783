"""Are the results those of plaintext search? Recall and score error of encrypted search against float32.

    python -m bench.accuracy [--rows 20000] [--repeats 3] [--scores 10000000] [--photos FOLDER] [--json FILE]
    python -m bench.accuracy --protection owner

Three kinds of queries against two kinds of rows, for every published set of the protection: clustered vectors; pictures
against pictures (the rows are overlapping parts of the demo's photographs, the queries the whole photographs and the
demo's query pictures); words against the same rows. Recall@k is the part of the k best rows by float32
``matrix @ vector`` that are among the k best by decrypted score. The error is decrypted score less float32 score, its
standard deviation; for words both are multiplied with the model's ``text_score_scale``, as the client shows them.
Every repeat encrypts anew; in the sealed index under a fresh key and fresh masks.

Last, many scores (``--scores``) are held against exact integers: how far off the worst one is. One that had wrapped
around would be off by 2; ``unseen.he.noise`` bounds how likely that is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.measure import print_table, write_json
from bench.searches import search_of
from bench.vectors import clustered_vectors
from unseen.embed.registry import default_registry
from unseen.he.quantise import quantise_query, quantise_rows, to_cosines
from unseen.params import OWNER_DEFAULT, PUBLISHED, OwnerParameterSet, ParameterSet
from unseen_client.prepare import Preparer

Float32Array = npt.NDArray[np.float32]
AnyParameters = ParameterSet | OwnerParameterSet

Figures = dict[str, dict[str, dict[str, float]]]

DEMO = Path(__file__).parent.parent / "examples" / "demo"
RECALL_AT = (1, 10, 100)
DIMENSION = 512
CLUSTERED_QUERIES = 100
PARTS_A_SIDE = 3
PART_OF_SIDE = 0.6
"""A photograph is cut into 3 x 3 parts, each 0.6 of its width and height: neighbours share half of what they show."""

MANY_ROWS, MANY_DIMENSION, MANY_FACTOR = 100_000, 64, 1
"""Short vectors scan fast; the noise is largest at packing factor 1."""

WORDS = (
    "an animal", "a bird", "a building", "a river", "the night sky", "food on a plate", "fruit", "a flower in a garden",
    "furniture", "a musical instrument", "water", "trees in autumn", "a machine", "a vehicle", "a religious building",
    "something to drink", "an insect", "a forest", "people at work", "tools", "metal", "a toy", "a medical picture",
    "stars and galaxies", "a house", "steps", "an old photograph", "a sunset", "a pet", "city at night",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Queries of one kind against rows; ``score_scale`` is what scores are shown multiplied with."""

    name: str
    rows: Float32Array
    queries: Float32Array
    score_scale: float = 1.0


def main() -> None:
    arguments = parse_arguments()
    comparisons = [clustered(arguments.rows), *photographs(arguments.photos)]
    figures: Figures = {}
    sets: tuple[AnyParameters, ...] = (OWNER_DEFAULT,) if arguments.protection == "owner" else PUBLISHED
    for parameters in sets:
        figures[parameters.name] = {
            comparison.name: compare(parameters, comparison, arguments.repeats) for comparison in comparisons
        }
    worst = {parameters.name: worst_of_many(parameters, arguments.scores) for parameters in sets}
    print_figures(figures, worst)
    write_json(arguments.json, {**figures, "worst_of_many": worst})


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000, help="clustered rows")
    parser.add_argument("--repeats", type=int, default=3, help="encryptions of every query")
    parser.add_argument("--scores", type=int, default=10_000_000, help="scores held against exact integers, each set")
    parser.add_argument("--photos", type=Path, default=DEMO / "photos", help="a folder of pictures")
    parser.add_argument("--protection", choices=("sealed", "owner"), default="sealed")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def clustered(rows: int) -> Comparison:
    vectors = clustered_vectors(rows + CLUSTERED_QUERIES, DIMENSION, seed=1)
    return Comparison("clustered vectors", vectors[CLUSTERED_QUERIES:], vectors[:CLUSTERED_QUERIES])


def photographs(folder: Path) -> Iterator[Comparison]:
    """Pictures and words against parts of the photographs in a folder, embedded as the client embeds them."""
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    asked = json.loads((DEMO / "queries.json").read_text())
    pictures = [*photos, *(DEMO / query["picture"] for query in asked["pictures"])]
    words = [*WORDS, *(query["text"] for query in asked["words"])]
    with Preparer() as preparer:
        rows = np.stack([preparer.image(part).vector for photo in photos for part in parts(photo)])
        yield Comparison("pictures", rows, np.stack([preparer.image(picture).vector for picture in pictures]))
        scale = default_registry().entry("bundled").load(1).text_score_scale
        yield Comparison("words", rows, np.stack([preparer.text(text) for text in words]), scale)


def parts(photo: Path) -> Iterator[bytes]:
    """Overlapping parts of a photograph, as files."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    width, height = (int(PART_OF_SIDE * side) for side in picture.size)
    for row in range(PARTS_A_SIDE):
        for column in range(PARTS_A_SIDE):
            left = (picture.width - width) * column // (PARTS_A_SIDE - 1)
            top = (picture.height - height) * row // (PARTS_A_SIDE - 1)
            file = BytesIO()
            picture.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=95)
            yield file.getvalue()


def compare(parameters: AnyParameters, comparison: Comparison, repeats: int) -> dict[str, float]:
    """Recall and error of every query, each encrypted ``repeats`` times."""
    rows, queries = comparison.rows, comparison.queries
    search = search_of(parameters, rows)
    errors, recalls = [], []
    for query in queries:
        exact = rows @ query
        for _ in range(repeats):
            decrypted = search.scores(query)
            errors.append((decrypted - exact) * comparison.score_scale)
            recalls.append([recall(exact, decrypted, at) for at in RECALL_AT])
    means = np.mean(recalls, axis=0)
    return {
        "rows": len(rows),
        "queries": len(queries),
        "packing_factor": search.packing.factor,
        "error_std": float(np.std(errors)),
        "expected_error_std": search.error_std * comparison.score_scale,
        **{f"recall_at_{at}": float(mean) for at, mean in zip(RECALL_AT, means, strict=True)},
    }


def recall(exact: Float32Array, found: Float32Array, at: int) -> float:
    best, best_found = (set(np.argsort(-scores, kind="stable")[:at].tolist()) for scores in (exact, found))
    return len(best & best_found) / len(best)


def worst_of_many(parameters: AnyParameters, scores: int) -> dict[str, float]:
    """Error of very many scores against exact integers: standard deviation and the worst, in cosine."""
    vectors = clustered_vectors(MANY_ROWS, MANY_DIMENSION, seed=2)
    search = search_of(parameters, vectors, MANY_FACTOR)
    exact_rows = quantise_rows(parameters, vectors).astype(np.float64)
    squares, worst, queries = 0.0, 0.0, -(-scores // MANY_ROWS)
    for vector in vectors[np.arange(queries) % MANY_ROWS]:
        exact = to_cosines(parameters, (exact_rows @ quantise_query(parameters, vector)).astype(np.int64))
        errors = search.scores(vector) - exact
        squares += float(errors @ errors)
        worst = max(worst, float(np.abs(errors).max()))
    return {
        "scores": queries * MANY_ROWS,
        "noise_std": float(np.sqrt(squares / (queries * MANY_ROWS))),
        "expected_noise_std": search.noise_std,
        "worst": worst,
        "wrap_probability_log2": search.wrap_probability_log2,
    }


def print_figures(figures: Figures, worst: dict[str, dict[str, float]]) -> None:
    header = ("queries against rows", "error std", "expected", *(f"R@{at}" for at in RECALL_AT))
    for set_name, comparisons in figures.items():
        lines = [
            (
                f"{figure['queries']} {name}, {figure['rows']} rows",
                f"{figure['error_std']:.5f}",
                f"{figure['expected_error_std']:.5f}",
                *(f"{figure[f'recall_at_{at}']:.3f}" for at in RECALL_AT),
            )
            for name, figure in comparisons.items()
        ]
        print_table(set_name, lines, header)
    lines = [
        (
            name,
            f"{many['scores']:.0e}",
            f"{many['noise_std']:.6f}",
            f"{many['expected_noise_std']:.6f}",
            f"{many['worst']:.5f}",
            f"2^{many['wrap_probability_log2']:.0f}",
        )
        for name, many in worst.items()
    ]
    print_table(
        "many scores against exact integers, k = 1", lines, ("", "scores", "noise std", "expected", "worst", "wrap <")
    )


if __name__ == "__main__":
    main()
