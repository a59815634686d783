"""Do a server's memory, disk and log tell which of two collections it holds? A classifier learns from dumps.

    python -m bench.owner_dump --pairs 20 --rows 300 --dim 64 --json FILE

Two collections of equal size, X and Y, are made on a real server again and again, in pairs in random order, searched,
dumped and deleted. Of a dump everything counts that was not there before its collection was made: in memory, in the
files of the data directory, in the log. The classifier is naive Bayes over which eight-byte words are there (hashed to
2^24 bins): it knows everything that all dumps of one collection share, and is told which is which for all other pairs.
The same classifier looks at a sealed collection's server, whose memory holds the vectors.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.measure import print_table, write_json
from tests.server.memory import OpenServer, dumped
from unseen.dp.audit import clopper_pearson_lower, clopper_pearson_upper
from unseen_client import Client

BIN_BITS = 24
WORD_BYTES = 8
SEARCHES = 2
DOUBT = 0.05
PLACES = ("memory", "disk", "log")
Bins = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Guessed:
    """How often a classifier was right, with an interval that holds the true rate in 95 % of all experiments."""

    right: int
    of: int

    @property
    def rate(self) -> float:
        return self.right / self.of

    @property
    def interval(self) -> tuple[float, float]:
        lower = clopper_pearson_lower(self.right, self.of, DOUBT / 2)
        return lower, clopper_pearson_upper(self.right, self.of, DOUBT / 2)


def words_of(parts: Iterable[bytes], alignments: int) -> BoolArray:
    """Which words are there, hashed: (2^BIN_BITS,). At every offset modulo eight, or at the first of them only."""
    there = np.zeros(1 << BIN_BITS, np.bool_)
    for data in parts:
        for start in range(alignments):
            words = np.frombuffer(data, np.uint64, max(0, len(data) - start) // WORD_BYTES, min(start, len(data)))
            hashed = words[words != 0] * np.uint64(0x9E3779B97F4A7C15)
            there[hashed >> np.uint64(64 - BIN_BITS)] = True
    return there


def guesses(first: Sequence[Bins], second: Sequence[Bins], coin: np.random.Generator) -> Guessed:
    """Guess each dump, told which is which of every pair but its own: (pairs,) dumps of X, and of Y."""
    counts = [np.zeros(1 << BIN_BITS, np.int32) for _ in range(2)]
    for count, dumps in zip(counts, (first, second), strict=True):
        for bins in dumps:
            count[bins] += 1
    right = 0
    for pair in zip(first, second, strict=True):
        for bins, sign in zip(pair, (1, -1), strict=True):
            known = [count[bins] - np.isin(bins, own) for count, own in zip(counts, pair, strict=True)]
            score = float(np.sum(np.log(known[0] + 0.5) - np.log(known[1] + 0.5)))
            right += (score * sign > 0) if score else bool(coin.integers(2))
    return Guessed(right, 2 * len(first))


def snapshot(server: OpenServer) -> dict[str, BoolArray]:
    files = (path.read_bytes() for path in sorted(server.data.rglob("*")) if path.is_file())
    return {
        "memory": words_of(dumped(server.pid), 1),
        "disk": words_of(files, WORD_BYTES),
        "log": words_of([server.log().encode()], WORD_BYTES),
    }


def dump(server: OpenServer, client: Client, protection: str, vectors: npt.NDArray[np.float32]) -> dict[str, Bins]:
    """Make a collection, search it, look, delete it: the words that were not there before."""
    before = snapshot(server)
    client.create_collection("dumped", dimension=vectors.shape[1], protection=protection)
    client.enrol_vectors("dumped", [str(at) for at in range(len(vectors))], vectors)
    for query in vectors[:SEARCHES]:
        client.search_vector("dumped", query)
    after = snapshot(server)
    client.delete_collection("dumped")
    return {place: np.flatnonzero(after[place] & ~before[place]) for place in PLACES}


def experiment(protection: str, pairs: int, rows: int, dimension: int, seed: int) -> dict[str, Guessed]:
    """Dumps of both collections, pair by pair, and what the classifier makes of them."""
    random = np.random.default_rng(seed)
    both = [unit_vectors(rows, dimension, seed + 1 + one) for one in range(2)]
    dumps: list[list[dict[str, Bins]]] = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        server = OpenServer(Path(folder), "--threads", "1").start()
        try:
            with Client(f"127.0.0.1:{server.port}", home=Path(folder) / "home") as client:
                dump(server, client, protection, both[0])  # what the first one of a process leaves is not learned from
                for _ in range(pairs):
                    for which in random.permutation(2):
                        dumps[which].append(dump(server, client, protection, both[which]))
        finally:
            server.end()
    first, second = dumps
    return {place: guesses([one[place] for one in first], [one[place] for one in second], random) for place in PLACES}


def unit_vectors(count: int, dimension: int, seed: int) -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def lines(found: dict[str, dict[str, Guessed]]) -> Iterator[tuple[str, ...]]:
    for protection, places in found.items():
        for place, guessed in places.items():
            low, high = guessed.interval
            yield (
                f"{protection}, {place}",
                f"{guessed.right} of {guessed.of}",
                f"{guessed.rate:.2f}",
                f"{low:.2f}-{high:.2f}",
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.owner_dump", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    found = {
        protection: experiment(protection, chosen.pairs, chosen.rows, chosen.dim, chosen.seed)
        for protection in ("sealed", "owner")
    }
    print_table(
        f"guesses which of two collections of {chosen.rows} rows of {chosen.dim} a server holds",
        list(lines(found)),
        ("", "right", "rate", "95 % interval"),
    )
    figures = {
        protection: {place: {"right": one.right, "of": one.of, "interval": one.interval} for place, one in some.items()}
        for protection, some in found.items()
    }
    write_json(chosen.json, {"rows": chosen.rows, "dimension": chosen.dim, **figures})


if __name__ == "__main__":
    main()
