"""The parent's side of making pictures of DICOM frames: clean attributes out to a child, pixels of 8 bits back.

Runs where the images are. Holds an object and one frame of it at a time. Of what must be painted nothing comes out,
whatever the child did: it is black for people, and for the model of the colours around it, which sees nothing but black
boxes otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.deid.text.blend import blended
from unseen.deid.text.patches import Mask
from unseen.embed.dicom_model import BACKGROUND, LONGEST_SIDE_PX
from unseen.errors import ImageRefused
from unseen.pixels import Pixels
from unseen_client.child_process import ChildPool, ChildProcess
from unseen_client.deid.attributes import NEEDS, OUT_OF_TURN, memory_for
from unseen_client.deid.frames import BYTES_PER_S, COPIES, OBJECTS_PER_CHILD, REASONS, TIMEOUT_S
from unseen_client.deid.frames_child import ALL_SENT, FRAME_FOLLOWS, FRAME_NUMBER, Outcome
from unseen_client.dicom import views_child as child

MODULE = "unseen_client.dicom.views_child"
LARGEST_FRAME_BYTES = 512 << 20
"""Of one picture of a frame."""


@dataclass(frozen=True, eq=False)
class FrameViews:
    """One frame as a model and as a person sees it."""

    looks: list[Pixels]
    """One or two pictures for the model: through the object's window, and with all that was measured."""
    shown: Pixels
    """The first of them with black where something was painted."""


class Views:
    """As many children as files are worked on at once. Safe for several threads, which wait for a free place."""

    def __init__(self, workers: int) -> None:
        self._children = ChildPool(
            lambda memory_bytes: ChildProcess(MODULE, memory_bytes, NEEDS), workers, OBJECTS_PER_CHILD
        )

    def pictures(self, data: bytes, frames: tuple[int, ...], mask: Mask | None) -> list[FrameViews]:
        """Return what is seen of each frame (counted from 0) of a Part 10 file; ImageRefused.

        mask: (rows, columns), what is painted in each; None for nothing.
        """
        timeout_s = TIMEOUT_S + len(data) / BYTES_PER_S
        numbers = b"".join(map(FRAME_NUMBER.pack, frames))
        rows, columns = (0, 0) if mask is None else mask.shape
        hidden = b"" if mask is None else child.packed(mask)
        header = child.REQUEST.pack(child.REQUEST_MAGIC, len(frames), len(data), rows, columns)
        with self._children.one(memory_for(len(data), COPIES)) as running, running.talking("an object", timeout_s):
            running.send(header, numbers, hidden, data)
            try:
                return received(running, len(frames), mask)
            except MemoryError:
                raise ImageRefused("its pictures do not fit the memory; split it, or give the device more") from None

    def close(self) -> None:
        """End the children, once nobody uses them."""
        self._children.close()


def received(running: ChildProcess, count: int, mask: Mask | None) -> list[FrameViews]:
    """The pictures of each frame that a child sends, painted and made small one after the other."""
    magic, outcome = child.REPLY.unpack(running.receive(child.REPLY.size))
    if outcome in REASONS:
        raise ImageRefused(REASONS[outcome])
    if magic != child.REPLY_MAGIC or outcome:
        raise ImageRefused(OUT_OF_TURN)
    prepared = [_prepared(running, mask) for _ in range(count)]
    if running.receive(1) != ALL_SENT:
        raise ImageRefused(REASONS[Outcome.BROKEN])
    return prepared


def _prepared(running: ChildProcess, mask: Mask | None) -> FrameViews:
    if running.receive(1) != FRAME_FOLLOWS:
        raise ImageRefused(REASONS[Outcome.BROKEN])
    several, samples, rows, columns, left, top, right, bottom = child.FRAME.unpack(running.receive(child.FRAME.size))
    fits = several in {1, 2} and samples in {1, 3} and rows > 0 and columns > 0
    fits = fits and samples * rows * columns <= LARGEST_FRAME_BYTES
    if not fits or not (left < right <= columns and top < bottom <= rows):
        raise ImageRefused(OUT_OF_TURN)
    if mask is not None and mask.shape != (rows, columns):
        raise ImageRefused(OUT_OF_TURN)
    looks: list[Pixels] = []
    for _ in range(several):
        picture = np.empty((rows, columns, samples) if samples == 3 else (rows, columns), np.uint8)
        running.receive_into(picture.data.cast("B"))
        if mask is not None:
            picture[mask] = 0  # the child did so already, if it is what it was
        looks.append(_as_rgb(made_small(picture[top:bottom, left:right])))
    if mask is None:
        cut = [without_border(look) for look in looks]
        return FrameViews(cut, cut[0])
    hidden = _mask_made_small(mask[top:bottom, left:right])
    shown = looks[0].copy()
    shown[hidden] = 0
    return FrameViews([without_border(blended(look, hidden)) for look in looks], without_border(shown))


def _as_rgb(picture: npt.NDArray[np.uint8]) -> Pixels:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def without_border(picture: Pixels) -> Pixels:
    """Cut off rows and columns at the edges that show nothing: what was collimated, shuttered or padded with black."""
    brightest_of_rows = picture.reshape(len(picture), -1).max(axis=1)  # the last axis alone is slow: three numbers long
    brightest_of_columns = picture.max(axis=0).max(axis=1)
    rows, columns = (np.flatnonzero(side > BACKGROUND) for side in (brightest_of_rows, brightest_of_columns))
    if not rows.size:
        return picture
    return np.ascontiguousarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def made_small(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture, grey or coloured, with its longer side at most LONGEST_SIDE_PX."""
    size = _small_size(picture.shape)
    if size == (picture.shape[1], picture.shape[0]):
        return np.ascontiguousarray(picture)
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX), np.uint8)


def _mask_made_small(mask: Mask) -> Mask:
    """The same for a mask: every pixel in which there is anything of it."""
    size = _small_size(mask.shape)
    if size == (mask.shape[1], mask.shape[0]):
        return mask
    return _touched(_touched(mask, size[1], axis=0), size[0], axis=1)


def _touched(mask: Mask, cells: int, axis: int) -> Mask:
    """Which of so many equal cells along an axis have anything of the mask in them, be it a part of a pixel."""
    edges = np.arange(cells + 1) * mask.shape[axis]
    between = np.stack([edges[:-1] // cells, -(-edges[1:] // cells)], axis=1).ravel()[:-1]
    return np.asarray(np.logical_or.reduceat(mask, between, axis=axis).take(range(0, 2 * cells, 2), axis=axis))


def _small_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of what is at most LONGEST_SIDE_PX long."""
    height, width = shape[:2]
    scale = min(1.0, LONGEST_SIDE_PX / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))
