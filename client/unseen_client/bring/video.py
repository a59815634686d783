"""Videos as frames with their time, read one by one from a child process: this side never opens a video itself.

Runs where the videos are. Holds a frame for the length of a call. A frame goes by the SHA-256 of its video and by its
time, so that what is there already is known without decoding anything.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen_client.bring import video_child as child
from unseen_client.bring.brought import Brought
from unseen_client.bring.video_child import Outcome
from unseen_client.child_process import ChildPool, ChildProcess
from unseen_client.records import CONTENT_ID_DIGITS, Record
from unseen_client.source_file import PictureFile, opened_source, readable_name

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg"})
LONGEST_SIDE_PX = 1280
MOST_FRAMES = 100_000
"""Of one video: a day at one frame a second."""
SHORTEST_EVERY_S, LONGEST_EVERY_S = 0.01, 86_400.0
MOST_REFUSED_IN_A_ROW = 20
"""Each costs a child. A video that says a day and holds a minute would cost a child for every second of the day."""
REQUESTS_PER_CHILD = 2000
TIMEOUT_S = 120.0
"""Wall clock for one frame, with the decoding of what lies before it; the child's own limit counts computing only."""
CLIP, SECOND = "clip", "second"
"""What a frame's record says in ``extra``: for `--where "second >= 10"`."""
REASONS = {
    Outcome.NO_VIDEO: "got a file that is no video of a known kind, expected MP4, QuickTime, Matroska, WebM, AVI "
    "or MPEG",
    Outcome.TOO_MANY_PIXELS: f"got a video of more than {child.LARGEST_PIXELS // 1_000_000} million pixels a frame",
    Outcome.ENDED: "the video ends before this time, so it is shorter than it says",
    Outcome.OUT_OF_MEMORY: f"got a video that needs more than {child.MEMORY_BYTES >> 20} MiB to decode",
    Outcome.BROKEN: "got a video that is broken here; get the original again",
}


class VideoReader:
    """Reads frames of any number of videos through one child, which is started when it is first needed."""

    def __init__(self) -> None:
        """Raise InvalidConfiguration when what decodes is not installed."""
        if importlib.util.find_spec("cv2") is None:
            raise InvalidConfiguration('videos need OpenCV: pip install "unseen[video]"')
        self._children = ChildPool(
            lambda memory_bytes: ChildProcess(child.__name__, memory_bytes, "opencv-python-headless"),
            1,
            REQUESTS_PER_CHILD,
        )
        self._refused_in_a_row = Counter[Path]()

    def length_ms(self, path: Path) -> int:
        """When the last frame of a video begins, in milliseconds; ImageRefused."""
        return self._ask(path, child.LENGTH_ALONE)[0]

    def frame(self, path: Path, at_ms: int) -> npt.NDArray[np.uint8]:
        """The first frame at a time or after it, (height, width, 3), at most 1280 pixels; ImageRefused.

        A video of which so many frames in a row were refused is not opened again.
        """
        if self._refused_in_a_row[path] >= MOST_REFUSED_IN_A_ROW:
            raise ImageRefused("too many frames of this video in a row cannot be read; get the original again")
        try:
            pixels = self._ask(path, at_ms)[1]
        except ImageRefused:
            self._refused_in_a_row[path] += 1
            raise
        del self._refused_in_a_row[path]
        return pixels

    def close(self) -> None:
        """End the child."""
        self._children.close()

    def _ask(self, path: Path, wanted_ms: int) -> tuple[int, npt.NDArray[np.uint8]]:
        name = os.fsencode(path)
        with (
            self._children.one(child.MEMORY_BYTES) as running,
            running.talking("a video", TIMEOUT_S, "cut it into parts"),
        ):
            running.send(child.REQUEST.pack(child.REQUEST_MAGIC, wanted_ms, LONGEST_SIDE_PX, len(name)), name)
            return _received(running)


def _received(running: ChildProcess) -> tuple[int, npt.NDArray[np.uint8]]:
    magic, outcome, milliseconds, width, height = child.REPLY.unpack(running.receive(child.REPLY.size))
    if outcome in REASONS:
        raise ImageRefused(REASONS[outcome])
    if magic != child.REPLY_MAGIC or outcome or milliseconds < 0 or max(width, height) > LONGEST_SIDE_PX:
        raise ImageRefused("the decoder answered out of turn, so the video stays here; it is likely hostile")
    pixels = np.empty((height, width, 3), np.uint8)
    if pixels.size:
        running.receive_into(pixels.data.cast("B"))
    return milliseconds, pixels


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video, by its time."""

    reader: VideoReader
    video: Path
    video_sha256: bytes
    at_ms: int

    @property
    def name(self) -> str:
        return f"{self.video.name} {_clock(self.at_ms)}"

    def __str__(self) -> str:
        return self.name

    def content(self) -> bytes:
        """What names the frame, 32 bytes: the same video has the same frame at the same time."""
        return hashlib.sha256(self.video_sha256 + self.at_ms.to_bytes(8, "big")).digest()

    def read(self) -> bytes:
        """The frame as a BMP file; ImageRefused."""
        from PIL import Image

        pixels = self.reader.frame(self.video, self.at_ms)
        if not pixels.size:
            raise ImageRefused(REASONS[Outcome.BROKEN])
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "BMP")
        return buffer.getvalue()


def read_video(path: Path, every_s: float, reader: VideoReader, tags: tuple[str, ...] = ()) -> Brought:
    """A frame of every so many seconds of a video, each with its time; raises InvalidInput."""
    if not SHORTEST_EVERY_S <= every_s <= LONGEST_EVERY_S:
        raise InvalidInput(
            f"got a frame every {every_s:g} s, expected {SHORTEST_EVERY_S:g} to {LONGEST_EVERY_S:g} seconds"
        )
    try:
        with opened_source(path) as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        length_ms = reader.length_ms(path.absolute())
    except ImageRefused as error:
        raise InvalidInput(f"cannot enrol {path}: {error}") from error
    every_ms = round(1000 * every_s)
    if length_ms // every_ms >= MOST_FRAMES:
        raise InvalidInput(
            f"{path} lasts {length_ms / 1000:.0f} s, which is more than {MOST_FRAMES} frames; take fewer a second"
        )
    frames = [Frame(reader, path.absolute(), digest, at_ms) for at_ms in range(0, length_ms + 1, every_ms)]
    pictures: list[tuple[PictureFile, Record]] = [(frame, _record(frame, tags)) for frame in frames]
    return Brought(pictures)


def _record(frame: Frame, tags: tuple[str, ...]) -> Record:
    second = f"{frame.at_ms / 1000:.3f}".rstrip("0").rstrip(".")
    return Record(
        id=f"{frame.video_sha256.hex()[:CONTENT_ID_DIGITS]}@{second}",
        tags=tags,
        extra={CLIP: readable_name(frame.video), SECOND: second},
    )


def _clock(at_ms: int) -> str:
    """A time as people read it: 1:02:03.5."""
    minutes, in_minute_ms = divmod(at_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, rest_ms = divmod(in_minute_ms, 1000)
    return f"{hours}:{minutes:02}:{seconds:02}.{rest_ms:03}".rstrip("0").rstrip(".")
