"""Do a server's memory, disk and log tell which of two collections it holds? A classifier learns from dumps.

    python -m bench.owner_dump --pairs 20 --rows 300 --dim 64 --json FILE

Two collections of equal size, X and Y, are made again and again, in pairs in random order, each on a real server of its
own, whose memory, files and log are dumped after two searches. Each server is fresh: what one left lying would be there
before the next collection was made, and count for nothing. Of a dump everything counts that was not there before. The
classifier is naive Bayes over which eight-byte words are there: it knows everything that some dumps of one collection
share. It learns from every second pair and guesses the others, then the other way round. The same classifier looks at a
sealed collection's server, whose memory holds the vectors.

Guesses that learned from the same dumps hang together, and dumps that follow each other may share what has nothing to
do with rows, such as times: no interval of independent guesses holds. What is told instead is the part of all orders
that the pairs could have been made in, drawn anew, in which as many guesses would be right: where nothing tells X from
Y it is at most 0.05 in one run of twenty. Each run draws its own order; runs of one seed repeat one order, and count
once.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.measure import PASSPHRASE, print_table, write_json
from bench.vectors import unit_vectors
from tests.server.memory import OpenServer, dumped
from unseen.entropy import random_uid
from unseen_client import Client

WORD_BYTES = 8
SEARCHES = 2
ORDERS = 999
"""Drawn anew, to see how many guesses are right by chance."""
MOST_PAIRS = 32
"""Which of all dumps hold a word is a number of 64 bits."""
PROTECTIONS = ("sealed", "owner")
PLACES = ("memory", "disk", "log")
Words = npt.NDArray[np.uint64]
"""Distinct words of a dump, rising."""
Order = list[tuple[int, int]]
"""Of each pair: which collection was made first, 0 or 1, and which then."""


@dataclass(frozen=True)
class Guessed:
    """How often a classifier was right, and how often it would be if nothing told one collection from the other."""

    right: int
    of: int
    chance: float
    """The part of all orders in which as many guesses, or more, would be right."""
    words: int
    """That more than one dump holds, and not every one: where there are none, each guess was drawn by lot."""


def words_of(parts: Iterable[bytes], alignments: int) -> Words:
    """Which words but zero are there: at every offset modulo eight, or at the first of them only."""
    found = [np.zeros(0, np.uint64)]
    for data in parts:
        for start in range(alignments):
            words = np.frombuffer(data, np.uint64, max(0, len(data) - start) // WORD_BYTES, min(start, len(data)))
            found.append(_distinct(words[words != 0]))
    return _distinct(np.concatenate(found))


def _distinct(words: Words) -> Words:
    """As ``np.unique`` has them, which takes twelve times as long for tens of millions."""
    in_order = np.sort(words)
    return in_order[np.append(in_order[1:] != in_order[:-1], True)[: len(in_order)]]


class Classifier:
    """Which words the dumps of one run hold, in the order in which they were made: two of each pair."""

    def __init__(self, dumps: Sequence[Words]) -> None:
        _, places = np.unique(np.concatenate(dumps), return_inverse=True)
        holders = np.zeros(places.max(initial=-1) + 1, np.uint64)
        ends = np.cumsum([len(dump) for dump in dumps])
        for number, of_dump in enumerate(np.split(places, ends[:-1])):
            holders[of_dump] |= np.uint64(1 << number)
        patterns, counts = np.unique(holders, return_counts=True)
        holds = (patterns[:, None] >> np.arange(len(dumps), dtype=np.uint64)) & np.uint64(1) == 1
        tells = (holds.sum(axis=1) > 1) & ~holds.all(axis=1)
        self._holds, self._counts = holds[tells], counts[tells]
        self._half = np.arange(len(dumps)) // 2 % 2

    @property
    def words(self) -> int:
        """How many there are to learn from."""
        return int(self._counts.sum())

    def right(self, order: Order, coin: np.random.Generator) -> int:
        """How many dumps it guesses, if they were made in this order, having learned from those of the other half."""
        which = np.array(order).ravel()
        right = 0
        for half in range(2):
            learned, guessed = self._half != half, self._half == half
            first, second = (self._holds[:, learned & (which == one)].sum(axis=1) for one in range(2))
            scores = (self._counts * (np.log(first + 0.5) - np.log(second + 0.5))) @ self._holds[:, guessed]
            lots = coin.integers(2, size=len(scores)) * 2 - 1
            guess = np.where(np.abs(scores) > 1e-9, scores, lots) < 0
            right += int(np.sum(guess == (which[guessed] == 1)))
        return right


def guesses(dumps: Sequence[Words], order: Order, random: np.random.Generator) -> Guessed:
    """Guess each dump, given in the order in which they were made."""
    classifier = Classifier(dumps)
    right = classifier.right(order, random)
    by_chance = [classifier.right(orders(len(order), random), random) for _ in range(ORDERS)]
    as_many = 1 + sum(other >= right for other in by_chance)
    return Guessed(right, len(dumps), as_many / (1 + ORDERS), classifier.words)


def orders(pairs: int, random: np.random.Generator) -> Order:
    """Which of each pair is made first. In each half equally often: the order of making is nothing to learn from."""
    halves = [random.permutation([0, 1] * (pairs // 4)) for _ in range(2)]
    return [(int(which), 1 - int(which)) for at in range(pairs // 2) for which in (halves[0][at], halves[1][at])]


def snapshot(server: OpenServer) -> dict[str, Words]:
    files = (path.read_bytes() for path in sorted(server.data.rglob("*")) if path.is_file())
    return {
        "memory": words_of(dumped(server.pid), 1),
        "disk": words_of(files, WORD_BYTES),
        "log": words_of([server.log().encode()], WORD_BYTES),
    }


def dump(protection: str, vectors: npt.NDArray[np.float32]) -> dict[str, Words]:
    """Start a server, make a collection, search it, look: the words that were not there before."""
    with tempfile.TemporaryDirectory() as folder:
        server = OpenServer(Path(folder), "--threads", "1").start()
        try:
            with Client(f"127.0.0.1:{server.port}", home=Path(folder) / "home", passphrase=PASSPHRASE) as client:
                client.server_info()
                before = snapshot(server)
                client.create_collection("dumped", dimension=vectors.shape[1], protection=protection)
                client.enrol_vectors("dumped", [str(at) for at in range(len(vectors))], vectors)
                for query in vectors[:SEARCHES]:
                    client.search_vector("dumped", query)
                after = snapshot(server)
        finally:
            server.end()
    return {place: np.setdiff1d(after[place], before[place], assume_unique=True) for place in PLACES}


def experiment(protection: str, pairs: int, rows: int, dimension: int, seed: int) -> dict[str, Guessed]:
    """Dumps of both collections, pair by pair, and what the classifier makes of them."""
    random = np.random.default_rng(seed)
    both = [unit_vectors(rows, dimension, seed + 1 + one) for one in range(2)]
    order = orders(pairs, random)
    dumps = [dump(protection, both[which]) for pair in order for which in pair]
    return {place: guesses([one[place] for one in dumps], order, random) for place in PLACES}


def lines(found: dict[str, dict[str, Guessed]]) -> Iterator[tuple[str, ...]]:
    for protection, places in found.items():
        for place, guessed in places.items():
            yield (
                f"{protection}, {place}",
                f"{guessed.right} of {guessed.of}",
                f"{guessed.chance:.3f}",
                f"{guessed.words:,}",
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.owner_dump", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20, help="a multiple of four")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--protection", choices=PROTECTIONS, help="of one alone; left out, of each")
    parser.add_argument("--seed", type=int, help="of an earlier run, which is repeated; left out, drawn anew")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.pairs % 4 or not 0 < chosen.pairs <= MOST_PAIRS:
        parser.error(f"--pairs is a multiple of four, at most {MOST_PAIRS}")
    seed = int.from_bytes(random_uid()[:4], "little") if chosen.seed is None else chosen.seed
    found = {
        protection: experiment(protection, chosen.pairs, chosen.rows, chosen.dim, seed)
        for protection in PROTECTIONS
        if chosen.protection in (None, protection)
    }
    print_table(
        f"guesses which of two collections of {chosen.rows} rows of {chosen.dim} a server holds; seed {seed}",
        list(lines(found)),
        ("", "right", "as many by chance", "words to learn from"),
    )
    figures = {protection: {place: asdict(one) for place, one in some.items()} for protection, some in found.items()}
    write_json(chosen.json, {"rows": chosen.rows, "dimension": chosen.dim, "seed": seed, **figures})


if __name__ == "__main__":
    main()
