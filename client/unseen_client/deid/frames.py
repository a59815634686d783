"""The parent's side of decoding DICOM frames: clean attributes out to a child, arrays of numbers back.

Runs where the images are. Holds an object and its frames for the length of a call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unseen.deid.dicom.stored import Shown, StoredFrames
from unseen.errors import ImageRefused
from unseen_client.child_process import ChildPool, ChildProcess
from unseen_client.deid import frames_child as child
from unseen_client.deid.attributes import NEEDS, memory_for
from unseen_client.deid.frames_child import ALL_SENT, FRAME_NUMBER, Colour, Outcome

MODULE = "unseen_client.deid.frames_child"
OBJECTS_PER_CHILD = 500
MOST_BYTES = 512 << 20
"""Of all decoded frames of an object: they are held at once, since every frame must be clean before one is written."""
MOST_FRAMES = 100_000
COPIES = 3
TIMEOUT_S = 60.0
BYTES_PER_S = 1 << 20

REASONS = {
    Outcome.BROKEN: "the pixels do not decode, so nobody can tell whether there is text in them; get the object again",
    Outcome.OUT_OF_MEMORY: "a frame needs more memory to decode than the process that decodes may have; split it",
    Outcome.NO_DECODER: "there is no decoder here for the way the pixels are compressed; convert the object first",
    Outcome.UNKNOWN_PIXELS: "the pixels are of a kind that cannot be looked at here; convert them to grey or RGB first",
}


class Frames:
    """As many children as files are worked on at once. Safe for several threads, which wait for a free place."""

    def __init__(self, workers: int) -> None:
        self._children = ChildPool(
            lambda memory_bytes: ChildProcess(MODULE, memory_bytes, NEEDS), workers, OBJECTS_PER_CHILD
        )

    def decode(self, data: bytes, wanted: Sequence[int] = ()) -> StoredFrames:
        """Return the wanted frames of a Part 10 file (counted from 0), every one when none is named; ImageRefused."""
        timeout_s = TIMEOUT_S + len(data) / BYTES_PER_S
        with self._children.one(memory_for(len(data), COPIES)) as running, running.talking("an object", timeout_s):
            header = child.REQUEST.pack(child.REQUEST_MAGIC, len(wanted), len(data))
            running.send(header, b"".join(map(FRAME_NUMBER.pack, wanted)), data)
            return _received(running)

    def close(self) -> None:
        """End the children, once nobody uses them."""
        self._children.close()


def _received(running: ChildProcess) -> StoredFrames:
    magic, outcome, count, rows, columns, samples, bits, number, colour = child.REPLY.unpack(
        running.receive(child.REPLY.size)
    )
    if outcome in REASONS:
        raise ImageRefused(REASONS[outcome])
    known = magic == child.REPLY_MAGIC and not outcome and number in child.NUMBERS and colour in set(Colour)
    if not known or samples not in {1, 3} or not (rows and columns and 0 < count <= MOST_FRAMES):
        raise ImageRefused("the process that decodes answered out of turn; this object is likely hostile")
    shape = (count, rows, columns, 3) if samples == 3 else (count, rows, columns)
    kind = np.dtype(number.decode())
    if bits not in {1, 8 * kind.itemsize}:
        raise ImageRefused(REASONS[Outcome.UNKNOWN_PIXELS])
    if int(np.prod(shape, dtype=object)) * kind.itemsize > MOST_BYTES:
        raise ImageRefused(f"the frames are more than {MOST_BYTES >> 20} MiB when decoded; split the object")
    stored = np.empty(shape, kind)
    shown = np.empty((count, rows, columns, 3), np.uint8) if colour == Colour.PALETTE else None
    for at in range(count):
        if running.receive(1) != child.FRAME_FOLLOWS:
            raise ImageRefused(REASONS[Outcome.BROKEN])
        running.receive_into(stored[at].data.cast("B"))
        if shown is not None:
            running.receive_into(shown[at].data.cast("B"))
    if running.receive(1) != ALL_SENT:
        raise ImageRefused(REASONS[Outcome.BROKEN])
    return StoredFrames(stored, Shown[Colour(colour).name], bits, shown)
