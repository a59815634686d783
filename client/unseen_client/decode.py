"""The parent's side of decoding: it hands over bytes and gets pixels, and never opens a picture itself.

Runs where the images are. Holds a file and its pixels for the length of a call. Leaks nothing.

A picture that crashes, fills or stalls the decoder takes a child process with it, not this one: the child has limits on
memory and time, and a watchdog (child_process.py). It serves many pictures and is replaced after a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt

from unseen.errors import ImageRefused, InvalidConfiguration
from unseen_client import decode_child as child
from unseen_client.child_process import ChildPool, ChildProcess, worker_count
from unseen_client.decode_child import Outcome

MODULE = child.__name__
PICTURES_PER_CHILD = 500
"""A fresh child now and then, so that whatever a decoder leaves behind does not pile up."""
TIMEOUT_S = 30.0
"""Wall clock for one picture; the child's own limit counts computing time only."""
SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 32, 65_535
"""The largest is what the formats can say: whole pictures, as far as LARGEST_PIXELS lets them in."""

REASONS = {
    Outcome.NO_PICTURE: f"got a file that is no picture of a known kind, expected one of {', '.join(child.FORMATS)}; "
    "convert it first",
    Outcome.TOO_MANY_PIXELS: f"got a picture of more than {child.LARGEST_PIXELS // 1_000_000} million pixels, "
    "expected fewer; make it smaller first",
    Outcome.BROKEN: "got a picture that is broken or cut short, expected a whole one; get the original again",
    Outcome.OUT_OF_MEMORY: f"got a picture that needs more than {child.MEMORY_BYTES >> 20} MiB to decode, "
    "expected less; make it smaller first",
    Outcome.UNREADABLE_ORIENTATION: "got a picture whose orientation cannot be read, expected whole EXIF data or none; "
    "faces are found in upright pictures only, so save it anew without metadata",
    Outcome.UNKNOWN_PIXELS: "got a kind of pixels that has no agreed colours, expected RGB, grey, palette or CMYK; "
    "convert it to RGB first",
}


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright picture."""

    pixels: npt.NDArray[np.uint8]
    """(height, width, 3)"""
    upright: bool
    """Whether the file said which side is up; if not, the picture is as it was stored."""


class Decoder:
    """Child processes, each started when it is first needed. Safe for several threads, which wait for a free one."""

    def __init__(
        self,
        *,
        workers: int | None = 1,
        longest_side_px: int = 1280,
        timeout_s: float = TIMEOUT_S,
        pictures_per_child: int = PICTURES_PER_CHILD,
    ) -> None:
        """workers: pictures at once, None takes the cores. longest_side_px: larger pictures are reduced to it."""
        if not SMALLEST_SIDE_PX <= longest_side_px <= LARGEST_SIDE_PX or timeout_s <= 0 or pictures_per_child < 1:
            raise InvalidConfiguration(
                f"got longest_side_px={longest_side_px}, timeout_s={timeout_s}, "
                f"pictures_per_child={pictures_per_child}, expected a side of {SMALLEST_SIDE_PX} to "
                f"{LARGEST_SIDE_PX} px, a time above 0 and at least one picture"
            )
        self._longest_side = longest_side_px
        self._timeout_s = timeout_s
        self.workers = worker_count(workers)
        self._children = ChildPool(
            lambda memory_bytes: ChildProcess(MODULE, memory_bytes, "pillow"), self.workers, pictures_per_child
        )

    def decode(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Return the upright picture in a file's bytes as uint8 (height, width, 3); ImageRefused with the reason."""
        return self.picture(data).pixels

    def picture(self, data: bytes) -> Decoded:
        """Return the upright picture in a file's bytes, and whether the file said so; ImageRefused with the reason.

        First frame of an animation, transparent parts white, metadata gone, longest side at most ``longest_side_px``.
        """
        if len(data) > child.LARGEST_FILE_BYTES:
            raise ImageRefused(
                f"got a file of {len(data)} bytes, expected at most {child.LARGEST_FILE_BYTES}; make it smaller first"
            )
        with (
            self._children.one(child.MEMORY_BYTES) as running,
            running.talking("a picture", self._timeout_s, "make it smaller first"),
        ):
            running.send(child.REQUEST.pack(child.REQUEST_MAGIC, self._longest_side, len(data)), data)
            return _received(running, self._longest_side)

    def limits(self) -> frozenset[str]:
        """Return which limits the system enforces on the child: all of memory, cpu, files on Linux."""
        with self._children.one(child.MEMORY_BYTES) as running:
            return running.limits

    def close(self) -> None:
        """End the child processes, once nobody uses them."""
        self._children.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _received(running: ChildProcess, longest_side: int) -> Decoded:
    magic, outcome, width, height, told = child.REPLY.unpack(running.receive(child.REPLY.size))
    if outcome in REASONS:
        raise ImageRefused(REASONS[outcome])
    sides_fit = 0 < width <= longest_side and 0 < height <= longest_side
    if magic != child.REPLY_MAGIC or outcome or not sides_fit or width * height > child.LARGEST_PIXELS:
        raise ImageRefused("the decoder answered out of turn, so the picture stays here; it is likely hostile")
    pixels = np.empty((height, width, 3), np.uint8)
    running.receive_into(pixels.data.cast("B"))
    return Decoded(pixels, told == 1)
