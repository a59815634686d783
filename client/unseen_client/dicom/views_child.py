"""The child that makes pictures of frames of DICOM objects whose attributes are clean already. It knows no key.

Runs as a process of its own (``python -P -m unseen_client.dicom.views_child BYTES``), limited (``child_limits``), like
the child that decodes frames for the search for text (``deid.frames_child``), with the same decoders.

    request    magic, count of frames, size of the file, rows and columns of the mask or 0,   parent -> child
               numbers of the frames, the mask (a bit a pixel), the file
    reply      magic, outcome                                                                 child -> parent
    frame      one byte that says whether it decoded, one or two pictures, 1 for grey or      child -> parent, for each
               3 for RGB, rows, columns, the region (left, top, right, bottom), and the pixels of each picture
    end        one byte that says that there is no other frame                                child -> parent

What the mask names becomes black, and counts for nothing where a picture's range is measured. The region is where an
ultrasound shows its picture; the whole frame for every other object. The parent reads numbers only. A refusal ends the
child.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from unseen_client.child_limits import allow_computing, greet
from unseen_client.deid.frames_child import (
    BYTES_PER_CPU_S,
    CPU_S_PER_OBJECT,
    Outcome,
    Refused,
    answer,
    decoded_frames,
    read_numbers,
)

if TYPE_CHECKING:
    from unseen.deid.text.patches import Mask

REQUEST = struct.Struct("<4sIQII")
REPLY = struct.Struct("<4sI")
FRAME = struct.Struct("<8I")
REQUEST_MAGIC, REPLY_MAGIC = b"UVQ1", b"UVR1"
TWO_DIMENSIONAL = 1
"""RegionSpatialFormat of a picture; others are curves, spectra and scales (PS3.3 section C.8.5.5.1.1)."""


def main() -> None:
    """Answer requests until the parent closes the pipe; one refused request ends the child as well."""
    import pydicom.pixels  # noqa: F401 - before the limits come

    import unseen_client.dicom.rendering  # noqa: F401

    greet()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(REQUEST.size):
        magic, count, size, rows, columns = REQUEST.unpack(header)
        if magic != REQUEST_MAGIC:
            return
        allow_computing(CPU_S_PER_OBJECT + size // BYTES_PER_CPU_S)
        frames = read_numbers(requests, count)
        mask = unpacked(requests.read((rows * columns + 7) // 8), rows, columns)
        if not answer(pictures(requests.read(size), frames, mask), _reply, replies):
            return


def packed(mask: Mask) -> bytes:
    """A mask as it is sent."""
    return np.packbits(mask.reshape(-1)).tobytes()


def unpacked(data: bytes, rows: int, columns: int) -> Mask | None:
    """The inverse of ``packed``; None for a mask of no size."""
    if not rows or not columns:
        return None
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * columns)
    return bits.reshape(rows, columns).astype(np.bool_)


def _reply(outcome: Outcome) -> bytes:
    return REPLY.pack(REPLY_MAGIC, outcome)


def pictures(data: bytes, frames: Sequence[int], mask: Mask | None) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield what a reply begins with, and header and pictures of each frame, counted from 0; Refused."""
    import pydicom

    from unseen_client.dicom.rendering import UnknownPixels, rendered

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    dataset = pydicom.dcmread(BytesIO(data))
    if "PixelData" not in dataset:
        raise Refused(Outcome.UNKNOWN_PIXELS)
    for frame, numbers in zip(frames, decoded_frames(dataset, frames), strict=True):
        try:
            shown = rendered(numbers, dataset, frame, mask)
        except UnknownPixels as error:
            raise Refused(Outcome.UNKNOWN_PIXELS) from error
        rows, columns = shown[0].shape[:2]
        samples = 3 if shown[0].ndim == 3 else 1
        header = FRAME.pack(len(shown), samples, rows, columns, *region(dataset, rows, columns))
        yield _reply(Outcome.DECODED), [header, *(picture.tobytes() for picture in shown)]


def region(dataset: Any, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom around every region of an ultrasound that holds a picture; else of the whole frame.

    PS3.3 section C.8.5.5.
    """
    from unseen.embed.dicom_model import SMALLEST_REGION_PX

    boxes = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        left, top, right, bottom = (int(item.get(name) or 0) for name in names)
        box = max(left, 0), max(top, 0), min(right + 1, columns), min(bottom + 1, rows)
        if item.get("RegionSpatialFormat") == TWO_DIMENSIONAL and box[0] < box[2] and box[1] < box[3]:
            boxes.append(box)
    if boxes:
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        around = min(lefts), min(tops), max(rights), max(bottoms)
        if around[2] - around[0] >= SMALLEST_REGION_PX and around[3] - around[1] >= SMALLEST_REGION_PX:
            return around
    return 0, 0, columns, rows


if __name__ == "__main__":
    main()
