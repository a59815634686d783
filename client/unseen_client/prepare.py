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
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from queue import LifoQueue
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.deid.deidentify import deidentify
from unseen.deid.faces import FaceFinder
from unseen.deid.report import CoverReport
from unseen.embed.model import Registry
from unseen.embed.registry import default_registry
from unseen.errors import ImageRefused, InvalidVector
from unseen_client.decode import Decoder
from unseen_client.decode_child import LARGEST_FILE_BYTES

Source = str | os.PathLike[str] | bytes
"""Where a picture comes from: a path, or the bytes of a file."""
SourceT = TypeVar("SourceT", bound=Source)
Float32Vector = npt.NDArray[np.float32]

THUMBNAIL_SIDE_PX = 128
THUMBNAIL_QUALITY = 80
CONTENT_ID_DIGITS = 16
SURE_OF_A_FACE = 0.5
"""Covered is from 0.2 up, for safety; "there is a person" goes into the vector from here up, for truth."""
MOST_WORKERS = 8
"""More pictures at once than this fill memory (a child may take 1 GiB for one) sooner than they save time."""


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
        finder: FaceFinder | None = None,
        workers: int | None = None,
    ) -> None:
        """workers: pictures worked on at once, None takes the cores. ModelMismatch for an unknown model."""
        self._embedder = (registry or default_registry()).load(model)
        self._finder = finder or FaceFinder()
        self._workers = max(1, min(workers or _cores(), MOST_WORKERS))
        self._decoders: LifoQueue[Decoder] = LifoQueue()
        for _ in range(self._workers):
            self._decoders.put(Decoder())

    @property
    def model_id(self) -> str:
        """Name and hash prefix of the model: a collection remembers it and refuses another."""
        return self._embedder.model_id

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._embedder.dimension

    @property
    def text_score_scale(self) -> float:
        """What the score of a word query is multiplied with to become a cosine."""
        return self._embedder.text_score_scale

    def image(self, source: Source) -> PreparedImage:
        """Return one picture, given as a path or as bytes, ready to be enrolled or searched with; ImageRefused."""
        data = source if isinstance(source, bytes) else _read(source)
        with self._decoder() as decoder:
            pixels = decoder.decode(data)
        covered, report = deidentify(pixels, self._finder)
        try:
            people = sum(face.score >= SURE_OF_A_FACE for face in report.faces)
            vector = self._embedder.image(covered, people=people)
        except InvalidVector as error:
            raise ImageRefused("the model finds nothing in this picture to compare it by; leave it out") from error
        content_id = hashlib.sha256(data).hexdigest()[:CONTENT_ID_DIGITS]
        return PreparedImage(vector, _thumbnail(covered), report, content_id, covered)

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector (dimension,) of a word query; InvalidInput when empty or too long."""
        return self._embedder.text(words)

    def images(self, sources: Iterable[SourceT]) -> Iterator[tuple[SourceT, PreparedImage | ImageRefused]]:
        """Yield every source, in order, with its prepared picture or with the reason why it is refused."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="unseen-prepare") as pool:
            ahead: deque[tuple[SourceT, Future[PreparedImage | ImageRefused]]] = deque()
            try:
                for source in sources:
                    ahead.append((source, pool.submit(self._image_or_refusal, source)))
                    if len(ahead) > 2 * self._workers:
                        first, future = ahead.popleft()
                        yield first, future.result()
                while ahead:
                    first, future = ahead.popleft()
                    yield first, future.result()
            finally:
                for _, future in ahead:
                    future.cancel()

    def close(self) -> None:
        """End the child processes and let go of the models."""
        resting = [self._decoders.get() for _ in range(self._workers)]
        for decoder in resting:
            decoder.close()
            self._decoders.put(decoder)
        self._finder.close()
        self._embedder.close()

    def __enter__(self) -> Preparer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _decoder(self) -> Iterator[Decoder]:
        decoder = self._decoders.get()
        try:
            yield decoder
        finally:
            self._decoders.put(decoder)

    def _image_or_refusal(self, source: Source) -> PreparedImage | ImageRefused:
        try:
            return self.image(source)
        except ImageRefused as refusal:
            return refusal


def _read(path: str | os.PathLike[str]) -> bytes:
    """Return a file's bytes; ImageRefused for what is no plain file (a pipe would be waited for) or too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageRefused("got a path that is no plain file, expected a picture file")
            if status.st_size > LARGEST_FILE_BYTES:
                raise ImageRefused(f"got a file of {status.st_size} bytes, expected at most {LARGEST_FILE_BYTES}")
            return file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ImageRefused(f"got a file that cannot be read ({reason}), expected a picture; check the path") from error


def _thumbnail(covered: npt.NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(covered)
    picture.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX))
    buffer = BytesIO()
    picture.save(buffer, format="JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
