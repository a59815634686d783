"""The child that opens videos nobody vouches for. It knows no key and no model; it is limited, and replaced.

Runs as a process of its own (``python -P -m unseen_client.bring.video_child BYTES``), limited (``child_limits``). What
reads is OpenCV with FFmpeg behind it: C over bytes that nobody vouches for. FFmpeg gets an open file and no name, the
containers below and no others, and no protocol, so that no playlist or reference leads it to another file or machine.

    request    magic, milliseconds or -1 for the length alone, longest side wanted,    parent -> child
               bytes of the path, the path
    reply      magic, outcome, milliseconds that the video lasts or where the frame    child -> parent
               is, width, height, width x height x 3 bytes of RGB

The parent reads numbers and pixels only. A refusal ends the child.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import ExitStack
from enum import IntEnum
from typing import IO, Any

from unseen.errors import ImageRefused
from unseen_client.child_limits import allow_computing, greet
from unseen_client.source_file import opened_source

REQUEST = struct.Struct("<4sqII")
REPLY = struct.Struct("<4sIqII")
REQUEST_MAGIC, REPLY_MAGIC = b"UVQ1", b"UVR1"
LENGTH_ALONE = -1
CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg"
LARGEST_PATH_BYTES = 1 << 16
LARGEST_PIXELS = 40_000_000
MEMORY_BYTES = 1 << 30
"""Address space: a decoder holds some twenty frames, of 12 MB each in 4K."""
CPU_S_PER_FRAME = 60
AHEAD_MS = 10_000
"""What is further ahead, or behind, is sought by its key frame; what is nearer is decoded up to."""
TOLERANCE_MS = 1


class Outcome(IntEnum):
    """How one request went. Numbers are the wire form: add, never renumber."""

    DONE = 0
    NO_VIDEO = 1
    TOO_MANY_PIXELS = 2
    ENDED = 3
    OUT_OF_MEMORY = 4
    BROKEN = 5


class Refused(Exception):
    """This video or this frame is not read, and why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Video:
    """One open video, and the place where it stands."""

    def __init__(self, cv2: Any, path: str) -> None:
        self._cv2 = cv2
        self.path = path
        self._opened = ExitStack()
        try:
            file = self._opened.enter_context(opened_source(path))
        except ImageRefused as error:
            raise Refused(Outcome.NO_VIDEO) from error
        self._capture = cv2.VideoCapture()
        one_thread = [cv2.CAP_PROP_N_THREADS, 1]
        if not self._capture.open(file, cv2.CAP_FFMPEG, one_thread):
            raise Refused(Outcome.NO_VIDEO)
        if self._said(cv2.CAP_PROP_FRAME_WIDTH) * self._said(cv2.CAP_PROP_FRAME_HEIGHT) > LARGEST_PIXELS:
            raise Refused(Outcome.TOO_MANY_PIXELS)
        self._at_ms = -1.0

    def length_ms(self) -> int:
        """When the last frame begins: as the file says or, where it does not, by going through it."""
        count, per_second = self._said(self._cv2.CAP_PROP_FRAME_COUNT), self._said(self._cv2.CAP_PROP_FPS)
        if count >= 1 and per_second > 0:
            return max(0, int(1000 * (count - 1) / per_second))
        last = 0.0
        while self._capture.grab():
            last = max(last, self._said(self._cv2.CAP_PROP_POS_MSEC))
        self._seek(0)
        return int(last)

    def frame(self, wanted_ms: int, longest_side: int) -> tuple[int, Any]:
        """The first frame at this time or after it, and its time; Refused when the video ends before."""
        if not self._at_ms < wanted_ms <= self._at_ms + AHEAD_MS:
            self._seek(wanted_ms)
        while self._capture.grab():
            self._at_ms = self._said(self._cv2.CAP_PROP_POS_MSEC)
            if self._at_ms + TOLERANCE_MS >= wanted_ms:
                whole, pixels = self._capture.retrieve()
                if not whole or pixels.ndim != 3 or pixels.shape[2] != 3:
                    raise Refused(Outcome.BROKEN)
                return int(self._at_ms), self._smaller(pixels, longest_side)
        raise Refused(Outcome.ENDED)

    def close(self) -> None:
        self._capture.release()
        self._opened.close()

    def _seek(self, wanted_ms: int) -> None:
        self._capture.set(self._cv2.CAP_PROP_POS_MSEC, wanted_ms)

    def _said(self, what: int) -> float:
        value = float(self._capture.get(what))
        return value if -1e12 < value < 1e12 else 0.0  # also not-a-number

    def _smaller(self, pixels: Any, longest_side: int) -> Any:
        shrink = longest_side / max(pixels.shape[:2])
        if shrink < 1:
            size = (max(1, round(pixels.shape[1] * shrink)), max(1, round(pixels.shape[0] * shrink)))
            pixels = self._cv2.resize(pixels, size, interpolation=self._cv2.INTER_AREA)
        return pixels[:, :, ::-1]


def main() -> None:
    """Answer requests until the parent closes the pipe; one refused request ends the child as well."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"protocol_whitelist;none|format_whitelist;{CONTAINERS}"
    import cv2

    cv2.setNumThreads(1)
    greet()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    video: Video | None = None
    while header := requests.read(REQUEST.size):
        magic, wanted_ms, longest_side, size = REQUEST.unpack(header)
        if magic != REQUEST_MAGIC or size > LARGEST_PATH_BYTES:
            return
        path = os.fsdecode(requests.read(size))
        allow_computing(CPU_S_PER_FRAME)
        try:
            if video is None or video.path != path:
                if video is not None:
                    video.close()
                video = Video(cv2, path)
            _answer(video, wanted_ms, longest_side, replies)
        except Refused as refusal:
            outcome = refusal.outcome
        except MemoryError:
            outcome = Outcome.OUT_OF_MEMORY
        except cv2.error:
            outcome = Outcome.BROKEN
        else:
            continue
        replies.write(REPLY.pack(REPLY_MAGIC, outcome, 0, 0, 0))
        replies.flush()
        return


def _answer(video: Video, wanted_ms: int, longest_side: int, replies: IO[bytes]) -> None:
    if wanted_ms == LENGTH_ALONE:
        replies.write(REPLY.pack(REPLY_MAGIC, Outcome.DONE, video.length_ms(), 0, 0))
    else:
        at_ms, pixels = video.frame(wanted_ms, longest_side)
        replies.write(REPLY.pack(REPLY_MAGIC, Outcome.DONE, at_ms, pixels.shape[1], pixels.shape[0]))
        replies.write(pixels.tobytes())
    replies.flush()


if __name__ == "__main__":
    main()
