"""Manifests: one line for each picture or text, as CSV, JSONL or Parquet. Read on the device; nothing of it leaves it.

A path in a manifest is relative to the manifest's folder, and stays within it: a manifest from somebody else could
otherwise have any picture of this device enrolled. ``root`` names another folder.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from unseen.errors import InvalidConfiguration, InvalidInput
from unseen.json_text import read_json
from unseen_client.bring.brought import Brought
from unseen_client.bring.fields import described
from unseen_client.records import LONGEST_ID_CHARACTERS, Record
from unseen_client.source_file import PictureFile

Line = Mapping[Any, Any]

LARGEST_LINE_CHARACTERS = 1 << 20
"""A record has 64 KiB; a longer line is no line of a manifest."""
SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})


def read_manifest(path: Path, root: Path | None, tags: tuple[str, ...] = ()) -> Brought:
    """Pictures and texts of a manifest; raises InvalidInput, with the number of the line, before any is enrolled."""
    folder = (root or path.parent).resolve()
    pictures: list[tuple[PictureFile, Record]] = []
    texts: list[tuple[str, Record]] = []
    for number, fields in enumerate(lines(path), 1):
        try:
            line = described(fields, tags)
            if bool(line.path) == bool(line.text):
                raise InvalidInput("give a 'path' of a picture or a 'text', one of them")
            if line.text:
                texts.append((line.text, line.record))
            else:
                pictures.append((within(folder, line.path), replace(line.record, id=line.record.id or _id(line.path))))
        except InvalidInput as error:
            raise InvalidInput(f"{path}, row {number}: {error}; nothing was enrolled") from error
    return Brought(pictures, texts)


def lines(path: Path) -> Iterator[Line]:
    """The rows of a manifest as fields by name, whatever its kind; raises InvalidInput."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        return parquet_rows(path)
    return _delimited(path, "\t" if kind == ".tsv" else ",") if kind in {".csv", ".tsv"} else json_lines(path)


def within(folder: Path, path: str) -> Path:
    """A path of a manifest as a path of this device; raises InvalidInput for one that leads out of ``folder``."""
    try:
        found = (folder / path).resolve()
    except (OSError, ValueError) as error:
        raise InvalidInput("got a path that is none") from error
    if not found.is_relative_to(folder):
        raise InvalidInput("the path leads out of the manifest's folder; name the pictures' folder with --root")
    return found


def _id(path: str) -> str:
    """A picture without an id goes by its path, so that the row stays the same when the picture changes."""
    return path[-LONGEST_ID_CHARACTERS:]


def _delimited(path: Path, delimiter: str) -> Iterator[Line]:
    with opened(path, newline="") as file:
        try:
            for row in csv.DictReader(file, delimiter=delimiter, strict=True):
                if None in row:
                    raise InvalidInput(f"{path}: a row has more cells than there are headings; nothing was enrolled")
                yield row
        except csv.Error as error:
            raise InvalidInput(f"{path} is no CSV with a line of headings; nothing was enrolled") from error


def json_lines(path: Path) -> Iterator[Line]:
    """The JSON objects of a file, one a line; raises InvalidInput."""
    with opened(path) as file:
        number = 0
        try:
            while line := file.readline(LARGEST_LINE_CHARACTERS + 1):
                number += 1
                if len(line) > LARGEST_LINE_CHARACTERS:
                    raise ValueError("too long")
                if line.strip():
                    fields = read_json(line)
                    if not isinstance(fields, dict):
                        raise ValueError("no object")
                    yield fields
        except UnicodeDecodeError:
            raise
        except ValueError as error:
            raise InvalidInput(f"{path}, line {number} is no JSON object; nothing was enrolled") from error


def parquet_rows(path: Path) -> Iterator[Line]:
    """The rows of a Parquet file; raises InvalidInput, InvalidConfiguration without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InvalidConfiguration('Parquet needs pyarrow: pip install "unseen[parquet]"') from error
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InvalidInput(f"cannot read {path} as Parquet; nothing was enrolled") from error


@contextmanager
def opened(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """A UTF-8 file, with or without a byte order mark; raises InvalidInput where it is none."""
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield file
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; nothing was enrolled") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"cannot read {path} as text; give a UTF-8 file; nothing was enrolled") from error
