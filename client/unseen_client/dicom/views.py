"""The parent's side of making pictures of DICOM frames: clean attributes out to a child, pixels of 8 bits back.

Runs where the images are. Holds an object and one frame of it at a time. What must be painted is black in what
comes out, whatever the child did.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.deid.text.patches import Mask
from unseen.embed.dicom_model import BACKGROUND, LONGEST_SIDE_PX
from unseen.embed.model import Pixels
from unseen.errors import ImageRefused
from unseen_client.child_process import ChildPool, ChildProcess
from unseen_client.deid.attributes import NEEDS, OUT_OF_TURN, memory_for
from unseen_client.deid.frames import BYTES_PER_S, COPIES, OBJECTS_PER_CHILD, REASONS, TIMEOUT_S
from unseen_client.deid.frames_child import FRAME_FOLLOWS, Outcome
from unseen_client.dicom import views_child as child

MODULE = "unseen_client.dicom.views_child"
LARGEST_FRAME_BYTES = 512 << 20
"""Of one frame as RGB."""


class Views:
    """As many children as files are worked on at once. Safe for several threads, which wait for a free place."""

    def __init__(self, workers: int) -> None:
        self._children = ChildPool(
            lambda memory_bytes: ChildProcess(MODULE, memory_bytes, NEEDS), workers, OBJECTS_PER_CHILD
        )

    def pictures(self, data: bytes, frames: tuple[int, ...], mask: Mask | None) -> list[list[Pixels]]:
        """Return one or two pictures of each frame (counted from 0) of a Part 10 file; ImageRefused.

        mask: (rows, columns), what is painted black in each; None for nothing.
        """
        timeout_s = TIMEOUT_S + len(data) / BYTES_PER_S
        numbers = b"".join(map(child.FRAME_NUMBER.pack, frames))
        rows, columns = (0, 0) if mask is None else mask.shape
        hidden = b"" if mask is None else child.packed(mask)
        header = child.REQUEST.pack(child.REQUEST_MAGIC, len(frames), len(data), rows, columns)
        with self._children.one(memory_for(len(data), COPIES)) as running, running.talking("an object", timeout_s):
            running.send(header, numbers, hidden, data)
            return received(running, len(frames), mask)

    def close(self) -> None:
        """End the children, once nobody uses them."""
        self._children.close()


def received(running: ChildProcess, count: int, mask: Mask | None) -> list[list[Pixels]]:
    """The pictures of each frame that a child sends, painted and made small one after the other."""
    magic, outcome = child.REPLY.unpack(running.receive(child.REPLY.size))
    if outcome in REASONS:
        raise ImageRefused(REASONS[outcome])
    if magic != child.REPLY_MAGIC or outcome:
        raise ImageRefused(OUT_OF_TURN)
    return [_prepared(running, mask) for _ in range(count)]


def _prepared(running: ChildProcess, mask: Mask | None) -> list[Pixels]:
    if running.receive(1) != FRAME_FOLLOWS:
        raise ImageRefused(REASONS[Outcome.BROKEN])
    several, rows, columns, left, top, right, bottom = child.FRAME.unpack(running.receive(child.FRAME.size))
    fits = several in {1, 2} and rows > 0 and columns > 0 and 3 * rows * columns <= LARGEST_FRAME_BYTES
    if not fits or not (left < right <= columns and top < bottom <= rows):
        raise ImageRefused(OUT_OF_TURN)
    if mask is not None and mask.shape != (rows, columns):
        raise ImageRefused(OUT_OF_TURN)
    pictures = []
    for _ in range(several):
        picture = np.empty((rows, columns, 3), np.uint8)
        running.receive_into(picture.data.cast("B"))
        if mask is not None:
            picture[mask] = 0  # the child did so already, if it is what it was
        pictures.append(made_small(without_border(picture[top:bottom, left:right])))
    return pictures


def without_border(picture: Pixels) -> Pixels:
    """Cut off rows and columns at the edges that show nothing: what was collimated, shuttered or padded with black."""
    bright = picture.max(axis=2) > BACKGROUND
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if not rows.size:
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def made_small(picture: npt.NDArray[np.uint8]) -> Pixels:
    """The picture with its longer side at most LONGEST_SIDE_PX."""
    height, width = picture.shape[:2]
    if max(height, width) <= LONGEST_SIDE_PX:
        return np.ascontiguousarray(picture)
    scale = LONGEST_SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX), np.uint8)
