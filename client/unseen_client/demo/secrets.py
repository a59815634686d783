"""Everything that must not reach the server in the clear, cut into pieces that a search can find. Demo only.

Pictures and vectors are cut so that a part of one is found too. Holds all of it in the clear: stays on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.he.quantise import quantise_query, quantise_rows
from unseen.params import ParameterSet
from unseen_client.demo.search_bytes import SHORTEST_NEEDLE, Needle

PIECE_BYTES = 32
PIECE_EVERY_BYTES = 1024
COORDINATES_TOGETHER = 8
"""A part of a vector: in int16 these are 16 bytes, more than chance can bring about."""
FEWEST_DISTINCT = 5
"""Runs of zeros and repeats would be found anywhere."""

PATHS, CAPTIONS, IDS, WORDS, KEYS = "file paths and names", "captions", "row ids", "query words", "record key"
PHOTOGRAPHS, THUMBNAILS, PICTURES = "photographs (JPEG)", "thumbnails (JPEG)", "query pictures (JPEG)"
QUERY_VECTORS, ENROLLED_FLOAT, ENROLLED_INT16 = "query vectors", "enrolled vectors, float", "enrolled vectors, int16"
FORBIDDEN = (PATHS, CAPTIONS, IDS, PHOTOGRAPHS, THUMBNAILS, ENROLLED_FLOAT, PICTURES, WORDS, QUERY_VECTORS, KEYS)
"""No piece of these may ever reach the server. A sealed index's server does receive ENROLLED_INT16, and says so."""

Float32Matrix = npt.NDArray[np.float32]


@dataclass
class Secrets:
    """What the device knew during the demo."""

    parameters: ParameterSet
    photographs: Sequence[Path] = ()
    captions: Sequence[str] = ()
    ids: Sequence[str] = ()
    thumbnails: Sequence[bytes] = ()
    enrolled: Float32Matrix = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(n, d), as they were given to the SDK."""
    pictures: Sequence[Path] = ()
    words: Sequence[str] = ()
    queries: Float32Matrix = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(m, d), one per picture and per word query."""
    record_keys: Sequence[bytes] = ()

    def needles(self) -> Iterator[Needle]:
        """Every piece of everything."""
        for path in (*self.photographs, *self.pictures):
            yield from _text(PATHS, str(path))
            yield from _text(PATHS, path.name)
        for kind, texts in ((CAPTIONS, self.captions), (IDS, self.ids), (WORDS, self.words)):
            for text in texts:
                yield from _text(kind, text)
        for kind, files in ((PHOTOGRAPHS, self.photographs), (PICTURES, self.pictures)):
            for path in files:
                yield from _pieces(kind, path.name, path.read_bytes())
        for number, thumbnail in enumerate(self.thumbnails):
            yield from _pieces(THUMBNAILS, f"thumbnail {number}", thumbnail)
        yield from self._vectors()
        for key in self.record_keys:
            yield Needle(KEYS, "a collection's record key", key)

    def _vectors(self) -> Iterator[Needle]:
        """Every part of every vector, in each form in which software keeps vectors."""
        for number, vector in enumerate(self.enrolled):
            for form in (vector, vector.astype("<f2"), vector.astype("<f8")):
                yield from _parts(ENROLLED_FLOAT, f"row {number} as {form.dtype}", form)
            yield from _parts(ENROLLED_INT16, f"row {number}", quantise_rows(self.parameters, vector[None])[0])
        for number, vector in enumerate(self.queries):
            integers = quantise_query(self.parameters, vector)
            as_row = quantise_rows(self.parameters, vector[None])[0]
            for form in (vector, vector.astype("<f2"), vector.astype("<f8"), integers, integers.astype("<i4"), as_row):
                yield from _parts(QUERY_VECTORS, f"query {number} as {form.dtype}", form)


def _text(kind: str, text: str) -> Iterator[Needle]:
    data = text.encode()
    if len(data) >= SHORTEST_NEEDLE:
        yield Needle(kind, text, data)


def _pieces(kind: str, label: str, data: bytes) -> Iterator[Needle]:
    for start in range(0, len(data) - PIECE_BYTES + 1, PIECE_EVERY_BYTES):
        piece = data[start : start + PIECE_BYTES]
        if len(set(piece)) >= FEWEST_DISTINCT:
            yield Needle(kind, f"{label} at byte {start}", piece)


def _parts(kind: str, label: str, vector: npt.NDArray[np.generic]) -> Iterator[Needle]:
    for start in range(0, len(vector), COORDINATES_TOGETHER):
        part = vector[start : start + COORDINATES_TOGETHER]
        if len(np.unique(part[part != 0])) >= FEWEST_DISTINCT:
            yield Needle(kind, f"{label}, coordinates from {start}", part.tobytes())
