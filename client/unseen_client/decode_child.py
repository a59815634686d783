"""The child that opens pictures nobody vouches for. It knows no key, no model, no network; it is limited, and replaced.

Runs as a process of its own (``python -P -m unseen_client.decode_child BYTES``), limited (``child_limits``). It imports
nothing else of Unseen, so that it starts fast and holds nothing. Bytes of a file come in through the standard input,
raw pixels go out through the standard output:

    request    magic, longest side wanted, size of the file, the file              parent -> child
    reply      magic, outcome, width, height, whether the file said which side     child -> parent
               is up, width x height x 3 bytes of RGB

The parent reads numbers and pixels only: no text that a broken-into child could choose. A refusal ends the child.
"""

from __future__ import annotations

import struct
import sys
import warnings
from enum import IntEnum
from io import BytesIO
from typing import IO, Any

from unseen_client.child_limits import allow_computing, greet

REQUEST = struct.Struct("<4sIQ")
REPLY = struct.Struct("<4sIIII")
REQUEST_MAGIC, REPLY_MAGIC = b"UDQ1", b"UDR2"

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
LARGEST_FILE_BYTES = 64 << 20
"""A 40-megapixel PNG of noise has 120 MB, but no photograph has; a camera's finest JPEG has 25 MB."""
LARGEST_PIXELS = 40_000_000
"""More than most telephones take; four bytes each, held twice at once, fits the memory limit."""
MEMORY_BYTES = 512 << 20
"""Address space, libraries and the file included: bench/malformed_images.py says how far pictures come in it."""
BAND_ROWS = 256
"""Colours are converted and pixels sent this many rows at a time, so that no third copy of a picture is needed."""
CPU_S_PER_PICTURE = 10

EXIF_ORIENTATION = 0x0112


class Outcome(IntEnum):
    """How one picture went. Numbers are the wire form: add, never renumber."""

    DECODED = 0
    NO_PICTURE = 1
    TOO_MANY_PIXELS = 2
    BROKEN = 3
    OUT_OF_MEMORY = 4
    UNREADABLE_ORIENTATION = 5
    UNKNOWN_PIXELS = 6


class Refused(Exception):
    """This picture is not decoded, and why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def main() -> None:
    """Answer requests until the parent closes the pipe; one refused request ends the child as well."""
    _load_formats()
    greet()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(REQUEST.size):
        magic, longest_side, size = REQUEST.unpack(header)
        if magic != REQUEST_MAGIC or size > LARGEST_FILE_BYTES:
            return
        allow_computing(CPU_S_PER_PICTURE)
        outcome = _answer(requests.read(size), longest_side, replies)
        if outcome is not Outcome.DECODED:
            return


def _load_formats() -> None:
    """Import the decoders before the limits come and before the first byte is read."""
    from PIL import (  # noqa: F401
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    Image.MAX_IMAGE_PIXELS = LARGEST_PIXELS


def _answer(data: bytes, longest_side: int, replies: IO[bytes]) -> Outcome:
    image, told = None, False
    try:
        image, told = decode(data, longest_side)
        outcome = Outcome.DECODED
    except Refused as refusal:
        outcome = refusal.outcome
    except MemoryError:
        outcome = Outcome.OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - decoders raise anything for a broken file; all of it means the same
        outcome = Outcome.BROKEN
    width, height = image.size if image else (0, 0)
    replies.write(REPLY.pack(REPLY_MAGIC, outcome, width, height, told))
    for top in range(0, height, BAND_ROWS):
        replies.write(_band(image, top).tobytes())
    replies.flush()
    return outcome


def decode(data: bytes, longest_side: int) -> tuple[Any, bool]:
    """Return the first frame as an upright RGB picture on white, at most ``longest_side`` pixels; Refused otherwise.

    And whether the file said which side is up.
    """
    image, orientation = _opened(data, longest_side)
    flat = _on_white(image)
    del image  # or it would be held beside the turned one
    upright = _smaller(flat, longest_side)
    del flat
    turn = _TURNS.get(orientation or 1)
    return upright if turn is None else upright.transpose(turn), orientation is not None


def _opened(data: bytes, longest_side: int) -> tuple[Any, int | None]:
    """Return the loaded first frame as it is stored, and the EXIF orientation."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings(record=True) as spoken:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(BytesIO(data), formats=FORMATS)
            if image.width * image.height > LARGEST_PIXELS:
                raise Refused(Outcome.TOO_MANY_PIXELS)
            _ask_for_less(image, 2 * longest_side)
            image.load()
        except UnidentifiedImageError as error:
            raise Refused(Outcome.NO_PICTURE) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Refused(Outcome.TOO_MANY_PIXELS) from error
        return image, _orientation(image, spoken)


def _ask_for_less(image: Any, longest_side: int) -> None:
    """Let the JPEG decoder skip detail that the reduction throws away: up to eight times fewer pixels, and faster."""
    shrink = longest_side / max(image.size)
    if image.format in {"JPEG", "MPO"} and shrink < 1:
        image.draft(None, tuple(max(1, round(side * shrink)) for side in image.size))


def _orientation(image: Any, spoken: list[warnings.WarningMessage]) -> int | None:
    """Return the EXIF orientation, 1 to 8, or None when the file is silent; Refused when it may have been unreadable.

    A value that the standard does not know says as little as none.
    """
    try:
        value = image.getexif().get(EXIF_ORIENTATION)
    except Exception as error:
        raise Refused(Outcome.UNREADABLE_ORIENTATION) from error
    if value is None and any("EXIF" in str(warning.message) for warning in spoken):
        raise Refused(Outcome.UNREADABLE_ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def _on_white(image: Any) -> Any:
    """Return RGB: transparent parts white, deep greys brought down to eight bits."""
    from PIL import Image

    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    stretch = _stretch(image) if image.mode in {"I", "F"} else None
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND_ROWS):
        flat.paste(_flat(_band(image, top), stretch), (0, top))
    return flat


def _band(image: Any, top: int) -> Any:
    return image.crop((0, top, image.width, min(top + BAND_ROWS, image.height)))


def _flat(band: Any, stretch: tuple[float, float] | None) -> Any:
    from PIL import Image

    if stretch is not None:
        scale, offset = stretch
        return band.convert("F").point(lambda value: value * scale + offset).convert("L").convert("RGB")
    if band.mode.startswith("I;16"):
        return band.point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if band.has_transparency_data:
        clear = band.convert("RGBA")
        white = Image.new("RGB", band.size, "white")
        white.paste(clear, mask=clear.getchannel("A"))
        return white
    try:
        return band.convert("RGB")
    except ValueError as error:
        raise Refused(Outcome.UNKNOWN_PIXELS) from error


def _stretch(image: Any) -> tuple[float, float]:
    """Return scale and offset for 32-bit grey: its darkest value black, its brightest white, for it has no other."""
    low, high = image.getextrema()
    if not low <= high or high - low == float("inf"):  # also not-a-number
        raise Refused(Outcome.UNKNOWN_PIXELS)
    scale = 255 / (high - low) if high > low else 0
    return scale, -low * scale


def _smaller(image: Any, longest_side: int) -> Any:
    from PIL import Image

    shrink = longest_side / max(image.size)
    if shrink >= 1:
        return image
    size = tuple(max(1, round(side * shrink)) for side in image.size)
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientation -> PIL.Image.Transpose, by number: this file imports PIL only where it runs as the child."""

if __name__ == "__main__":
    main()
