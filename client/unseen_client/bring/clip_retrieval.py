"""What `clip-retrieval inference` writes: `img_emb/img_emb_N.npy`, and beside it `metadata/metadata_N.parquet`.

Vectors are taken as they are, row by row with the metadata; texts' vectors (`text_emb`) where `kind` says so.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from unseen.errors import InvalidInput
from unseen_client.array_file import read_array
from unseen_client.bring.brought import Brought, Float32Array
from unseen_client.bring.fields import described
from unseen_client.bring.manifest import parquet_rows
from unseen_client.records import LONGEST_ID_CHARACTERS, Record

KINDS = {"image": "img_emb", "text": "text_emb"}
METADATA = "metadata"


def is_clip_retrieval(folder: Path) -> bool:
    """Whether a folder looks like the output of `clip-retrieval inference`."""
    return (folder / METADATA).is_dir() and any((folder / one).is_dir() for one in KINDS.values())


def read_clip_retrieval(folder: Path, kind: str, tags: tuple[str, ...] = ()) -> Brought:
    """The vectors with their metadata; raises InvalidInput before any is enrolled."""
    if kind not in KINDS:
        raise InvalidInput(f"got the vectors {kind[:20]!r}, expected one of {', '.join(KINDS)}")
    part = KINDS[kind]
    files = sorted((folder / part).glob(f"{part}_*.npy"))
    if not files:
        raise InvalidInput(f"{folder} has no {part}/{part}_*.npy; choose with --vector {' or '.join(KINDS)}")
    vectors: list[tuple[Float32Array, Record]] = []
    for file in files:
        number = file.stem.removeprefix(f"{part}_")
        vectors += _part(file, folder / METADATA / f"{METADATA}_{number}.parquet", number, tags)
    return Brought(vectors=vectors)


def _part(file: Path, metadata: Path, number: str, tags: tuple[str, ...]) -> list[tuple[Float32Array, Record]]:
    array = read_vectors(file)
    rows = list(islice(parquet_rows(metadata), len(array) + 1))
    if len(rows) != len(array):
        raise InvalidInput(f"{file} has {len(array)} vectors, {metadata} another number of rows; nothing was enrolled")
    found = []
    for at, (vector, fields) in enumerate(zip(array, rows, strict=True)):
        line = described(fields, tags)
        # Each part numbers its rows; a path is the better name, since it stays when the export is made anew.
        row = line.record.id or line.path[-LONGEST_ID_CHARACTERS:] or f"{number}/{at}"
        caption = line.record.caption or line.text
        found.append((vector, replace(line.record, id=row, caption=caption, link=line.record.link or line.path)))
    return found


def read_vectors(path: Path) -> Float32Array:
    """A .npy file (n, d) of floats, without pickles; raises InvalidInput."""
    array = read_array(path)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InvalidInput(f"{path} holds no vectors: expected floats of shape (n, d)")
    return np.asarray(array, np.float32)
