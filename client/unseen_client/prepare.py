"""From a file to what may leave the device's memory: decode, cover faces, embed. In this order, always.

Runs where the images are. Holds pictures, models and vectors. What it returns is for this device: the vector goes on to
be encrypted, the thumbnail into a sealed record; the report and the covered picture stay here.

    with Preparer() as preparer:
        picture = preparer.image("cat.jpg")          # ImageRefused when a step cannot do its work
        words = preparer.text("a striped animal")
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.deid.deidentify import deidentify
from unseen.deid.faces import FaceFinder
from unseen.deid.report import CoverReport
from unseen.deid.settings import DeidSettings
from unseen.embed.model import Facet, Registry, row_of_words, unit_vector
from unseen.embed.registry import default_registry
from unseen.errors import ImageRefused, InvalidInput, InvalidVector
from unseen_client.decode import Decoder
from unseen_client.decode_child import LARGEST_FILE_BYTES
from unseen_client.deid.passed import Passed
from unseen_client.in_order import in_order
from unseen_client.records import CONTENT_ID_DIGITS
from unseen_client.source_file import Packed, read_source

Source = str | os.PathLike[str] | bytes | Packed
"""Where a picture comes from: a path, the bytes of a file, or a file within another one."""
SourceT = TypeVar("SourceT", bound=Source)
Float32Vector = npt.NDArray[np.float32]

LONGEST_SIDE_PX = 1280
"""What is looked at, covered and embedded: larger pictures are reduced to it first."""
THUMBNAIL_SIDE_PX = 128
THUMBNAIL_QUALITY = 80
LONGEST_TEXT_CHARACTERS = 200_000
"""A long paper; a book is chapters."""
PIECE_WORDS = 50
"""What every text model takes whole: CLIP, 77 tokens; MiniLM here, 128."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,40}")
"""Chinese, Japanese and Korean characters count as words; what is longer than any word is cut."""
SURE_OF_A_FACE = 0.5
"""Covered is from 0.22 up, for safety; "there is a person" goes into the vector from here up, for truth."""


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """A picture that went through every step."""

    vector: Float32Vector
    """(dimension,), unit length."""
    thumbnail: bytes
    """JPEG of the covered picture, at most 128 pixels, without metadata."""
    report: CoverReport
    content_id: str
    """First 16 hex digits of the SHA-256 of the file: the same file has the same id."""
    covered: npt.NDArray[np.uint8]
    """(height, width, 3), at most 1280 pixels, faces painted over. Large: drop it when not needed."""

    @property
    def faces_covered(self) -> int:
        """How many faces are painted over."""
        return self.report.faces_covered


class Preparer:
    """Decodes, covers and embeds. Models are opened and child processes started when first needed; thread-safe."""

    def __init__(
        self,
        model: str = "bundled",
        *,
        registry: Registry | None = None,
        deid: DeidSettings | None = None,
        workers: int | None = None,
    ) -> None:
        """deid: how faces are covered. workers: pictures worked on at once, None takes the cores. ModelMismatch."""
        self._embedder = (registry or default_registry()).load(model)
        self._settings = deid or DeidSettings()
        self._finder = FaceFinder(threshold=self._settings.threshold, long_sides_px=self._settings.long_sides_px)
        self._decoder = Decoder(workers=workers, longest_side_px=LONGEST_SIDE_PX)

    @property
    def model_id(self) -> str:
        """Name and hash prefix of the model: a collection remembers it and refuses another."""
        return self._embedder.model_id

    @property
    def settings(self) -> DeidSettings:
        """How faces are found and covered."""
        return self._settings

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._embedder.dimension

    @property
    def text_score_scale(self) -> float:
        """What the score of a word query is multiplied with to become a cosine."""
        return self._embedder.text_score_scale

    @property
    def facets(self) -> Mapping[str, Facet]:
        """The parts of a row that a query may weigh one by one."""
        return self._embedder.facets

    def image(self, source: Source, passed: Passed | None = None) -> PreparedImage:
        """Return one picture, given as a path or as bytes, ready to be enrolled or searched with; ImageRefused.

        passed: what a report of `unseen deid` says; a picture that it wrote is covered, and not looked at again.
        """
        data = _read(source)
        picture = self._decoder.picture(data)
        sha256 = hashlib.sha256(data).hexdigest()
        covered, report = picture.pixels, passed.report(sha256) if passed else None
        if report is None:
            covered, report = deidentify(picture.pixels, self._finder, self._settings, upright=picture.upright)
        vector = self.embedded(covered, people=sum(face.score >= SURE_OF_A_FACE for face in report.faces))
        return PreparedImage(vector, thumbnail_of(covered), report, sha256[:CONTENT_ID_DIGITS], covered)

    def passed(self, report: Path) -> Passed:
        """What a report of `unseen deid` says of pictures that were covered as they would be here; InvalidInput."""
        return Passed.read(report, self._settings, self._finder.detector_sha256)

    def both_ways(
        self, sources: Iterable[SourceT]
    ) -> Iterator[tuple[SourceT, tuple[Float32Vector, Float32Vector] | ImageRefused]]:
        """Return the vector of every source with its faces covered, and as it is: to measure what covering costs.

        The second is for this device alone: it knows the faces.
        """
        return in_order(sources, self._both, self._decoder.workers)

    def _both(self, source: Source) -> tuple[Float32Vector, Float32Vector]:
        picture = self._decoder.picture(_read(source))
        covered, report = deidentify(picture.pixels, self._finder, self._settings, upright=picture.upright)
        people = sum(face.score >= SURE_OF_A_FACE for face in report.faces)
        vector = self.embedded(covered, people=people)
        untouched = np.array_equal(covered, picture.pixels)
        return vector, vector if untouched else self.embedded(picture.pixels, people=people)

    def embedded(self, covered: npt.NDArray[np.uint8], *, people: int = 0) -> Float32Vector:
        """Return the unit vector of a picture (height, width, 3) that is de-identified already; ImageRefused."""
        try:
            return self._embedder.image(covered, people=people)
        except InvalidVector as error:
            raise ImageRefused("the model finds nothing in this picture to compare it by; leave it out") from error

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector (dimension,) of a word query; InvalidInput when empty or too long."""
        return self._embedder.text(words)

    def text_row(self, text: str) -> Float32Vector:
        """Return the row (dimension,) of a text that is enrolled, of unit length, beside rows of pictures.

        A text longer than a piece is the direction of the sum of its pieces. InvalidInput when empty or too long.
        """
        pieces = [self._embedder.text(piece) for piece in pieces_of(text)]
        return row_of_words(unit_vector(np.sum(pieces, axis=0)), self._embedder.facets)

    def images(
        self, sources: Iterable[SourceT], passed: Passed | None = None
    ) -> Iterator[tuple[SourceT, PreparedImage | ImageRefused]]:
        """Return every source, in order, with its prepared picture or with the reason why it is refused."""
        return in_order(sources, partial(self.image, passed=passed), self._decoder.workers)

    def close(self) -> None:
        """End the child processes and let go of the models."""
        self._decoder.close()
        self._finder.close()
        self._embedder.close()

    def __enter__(self) -> Preparer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, (str, os.PathLike)):
        return read_source(source, LARGEST_FILE_BYTES)
    return source.read()


def pieces_of(text: str) -> list[str]:
    """Cut a text into pieces that a model reads whole; InvalidInput when there are no words in it, or too many."""
    if len(text) > LONGEST_TEXT_CHARACTERS:
        raise InvalidInput(f"got a text of {len(text)} characters, expected at most {LONGEST_TEXT_CHARACTERS}; cut it")
    words = list(_WORD.finditer(text))
    if not words:
        raise InvalidInput("got a text without words in it, expected something to embed")
    runs = [words[start : start + PIECE_WORDS] for start in range(0, len(words), PIECE_WORDS)]
    return [text[run[0].start() : run[-1].end()] for run in runs]


def thumbnail_of(covered: npt.NDArray[np.uint8]) -> bytes:
    """A JPEG of at most 128 pixels, without metadata, of a picture that is de-identified already."""
    picture = Image.fromarray(covered)
    picture.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX))
    buffer = BytesIO()
    picture.save(buffer, format="JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()
