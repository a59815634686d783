"""The child that decodes the frames of DICOM objects whose attributes are clean already. It knows no key and no name.

Runs as a process of its own (``python -P -m unseen_client.deid.frames_child BYTES``), limited (``child_limits``). What
reads the pixels is pydicom with Pillow, GDCM and NumPy behind it: C and C++ over bytes that nobody vouches for.

    request    magic, count of wanted frames or 0 for every one, size of the file,      parent -> child
               numbers of the frames, the file
    reply      magic, outcome, frames, rows, columns, samples, bits,                    child -> parent
               number type, colour
    frame      one byte that says whether it decoded, the numbers, and where the        child -> parent, for each frame
               colour is PALETTE what they look like: rows x columns x 3 bytes of RGB
    end        one byte that says that there is no other frame                          child -> parent

The parent reads numbers only: no text that a broken-into child could choose. A refusal ends the child.

Compressed objects may hold more frames than they say. Such a one is refused when every frame is asked for: nobody
would have looked at the others, and they would stand in the pipe where the next object's reply is expected.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from io import BytesIO
from typing import IO, Any

from unseen_client.child_limits import allow_computing, greet

REQUEST = struct.Struct("<4sIQ")
FRAME_NUMBER = struct.Struct("<I")
REPLY = struct.Struct("<4sIIIIII2sI")
REQUEST_MAGIC, REPLY_MAGIC = b"UFQ1", b"UFR1"
CPU_S_PER_OBJECT = 60
BYTES_PER_CPU_S = 1 << 20
NUMBERS = (b"u1", b"i1", b"u2", b"i2", b"u4", b"i4")
"""NumPy's names of what a pixel may be, little endian."""
FRAME_FOLLOWS, NO_FRAME, ALL_SENT = b"\1", b"\0", b"\2"


class Outcome(IntEnum):
    """How one object went. Numbers are the wire form: add, never renumber."""

    DECODED = 0
    BROKEN = 1
    OUT_OF_MEMORY = 2
    NO_DECODER = 3
    UNKNOWN_PIXELS = 4


class Colour(IntEnum):
    """What the numbers of a pixel mean."""

    GREY = 0
    GREY_INVERTED = 1
    """Small numbers are bright (MONOCHROME1)."""
    RGB = 2
    PALETTE = 3


PHOTOMETRIC = {"MONOCHROME2": Colour.GREY, "MONOCHROME1": Colour.GREY_INVERTED, "PALETTE COLOR": Colour.PALETTE}
BECOMES_RGB = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}


class Refused(Exception):
    """This object is not decoded, and why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def main() -> None:
    """Answer requests until the parent closes the pipe; one refused request ends the child as well."""
    import numpy as np  # noqa: F401 - before the limits come
    import pydicom.pixels  # noqa: F401

    greet()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(REQUEST.size):
        magic, count, size = REQUEST.unpack(header)
        if magic != REQUEST_MAGIC:
            return
        allow_computing(CPU_S_PER_OBJECT + size // BYTES_PER_CPU_S)
        wanted = read_numbers(requests, count)
        if not answer(decoded(requests.read(size), wanted), _refusal, replies):
            return


def read_numbers(requests: IO[bytes], count: int) -> list[int]:
    """Numbers of frames as they stand in a request."""
    return [number for (number,) in FRAME_NUMBER.iter_unpack(requests.read(count * FRAME_NUMBER.size))]


def answer(
    frames: Iterator[tuple[bytes, Sequence[bytes]]], refused: Callable[[Outcome], bytes], replies: IO[bytes]
) -> bool:
    """Send one object's frames, each as soon as it is there; False when that did not work.

    frames: with each what a reply begins with, sent before the first. refused: what a reply without frames is.
    """
    outcome, begun = Outcome.BROKEN, False
    try:
        for beginning, parts in frames:
            if not begun:
                replies.write(beginning)
            begun = True
            replies.write(FRAME_FOLLOWS)
            for part in parts:
                replies.write(part)
            replies.flush()
        if begun:
            replies.write(ALL_SENT)
            replies.flush()
            return True
    except Refused as refusal:
        outcome = refusal.outcome
    except MemoryError:
        outcome = Outcome.OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - decoders raise anything for a broken object; all of it means the same
        outcome = Outcome.BROKEN
    replies.write(NO_FRAME if begun else refused(outcome))
    replies.flush()
    return False


def _refusal(outcome: Outcome) -> bytes:
    return REPLY.pack(REPLY_MAGIC, outcome, 0, 0, 0, 0, 0, b"", 0)


def decoded(data: bytes, wanted: Sequence[int]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield the reply's header and the parts of a frame, for each wanted one; Refused for what cannot be decoded."""
    import numpy as np
    import pydicom
    from pydicom.pixels.processing import apply_color_lut

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    dataset = pydicom.dcmread(BytesIO(data))
    colour = _colour(dataset)
    count = len(wanted) or frame_count(dataset)
    for frame in decoded_frames(dataset, wanted):
        pixels = np.ascontiguousarray(frame, frame.dtype.newbyteorder("<"))
        samples = 3 if pixels.ndim == 3 else 1
        number = f"{pixels.dtype.kind}{pixels.dtype.itemsize}".encode()
        if number not in NUMBERS or (samples == 3) != (colour is Colour.RGB):
            raise Refused(Outcome.UNKNOWN_PIXELS)
        parts = [pixels.tobytes()]
        if colour is Colour.PALETTE:
            parts.append(_eight_bits(apply_color_lut(pixels, dataset)).tobytes())
        rows, columns = pixels.shape[:2]
        bits = int(dataset.BitsAllocated)
        yield REPLY.pack(REPLY_MAGIC, 0, count, rows, columns, samples, bits, number, colour), parts


def decoded_frames(dataset: Any, wanted: Sequence[int]) -> Iterator[Any]:
    """Yield the numbers of each wanted frame (counted from 0), of every one when none is named; Refused.

    A frame is the same one for everybody who names it. Going through all of them may find others behind the same
    numbers, where the table of a broken object says something else than the order of its frames.
    """
    from pydicom.pixels.decoders.base import get_decoder

    try:
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    except NotImplementedError as error:
        raise Refused(Outcome.NO_DECODER) from error
    if not decoder.is_available:
        raise Refused(Outcome.NO_DECODER)
    if wanted:
        for frame in wanted:
            yield decoder.as_array(dataset, index=frame, raw=False)[0]
        return
    for at, (numbers, _) in enumerate(decoder.iter_array(dataset, raw=False)):
        if at == frame_count(dataset):
            raise Refused(Outcome.BROKEN)
        yield numbers


def frame_count(dataset: Any) -> int:
    """How many frames an object says that it has."""
    return int(dataset.get("NumberOfFrames") or 1)


def _colour(dataset: Any) -> Colour:
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if photometric in BECOMES_RGB:
        return Colour.RGB
    if photometric not in PHOTOMETRIC or "PixelData" not in dataset:
        raise Refused(Outcome.UNKNOWN_PIXELS)
    return PHOTOMETRIC[photometric]


def _eight_bits(colours: Any) -> Any:
    """RGB of a palette whose entries have 8 or 16 bits, brought down to 8."""
    import numpy as np

    return (colours >> 8 if colours.dtype.itemsize > 1 else colours)[..., :3].astype(np.uint8)


if __name__ == "__main__":
    main()
