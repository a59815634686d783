"""Pictures that nobody should open: mutated ones, bombs, nested horrors, and honest ones as large as may be.

Made from fixed seeds out of generated pictures. Used by bench.malformed_images and by the tests.

    python -m bench.hostile_pictures FOLDER 2400 1          writes them: how many mutated ones, which seed
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unseen_client.decode_child import LARGEST_PIXELS

KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("JPEG", "RGB", {"quality": 90}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("PNG", "1", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "tiff_deflate"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "F", {}),
    ("TIFF", "1", {"compression": "group4"}),
)
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Case:
    """One picture and where it comes from."""

    family: str
    name: str
    data: bytes


def encoded(picture: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def drawn(width: int, height: int, mode: str, seed: int) -> Image.Image:
    """Noise over a gradient in any mode."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, width)[None, :, None] + rng.integers(0, 55, (height, width, 3))
    picture = Image.fromarray(ramp.astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray((np.asarray(picture.convert("L"), np.uint16) * 257).astype(np.uint16))
    return picture.convert(mode)


# ---- mutated pictures ------------------------------------------------------------------------------------------------


def mutations(count: int, seed: int) -> Iterator[Case]:
    """``count`` pictures of every format, each damaged in one of six ways."""
    rng = np.random.default_rng(seed)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = []
    for at, (kind, mode, how) in enumerate(KINDS):
        extra = {"exif": exif.tobytes()} if kind in {"JPEG", "PNG", "WEBP"} and mode != "CMYK" else {}
        whole.append((kind, encoded(drawn(70 + at, 50 + at, mode, at), kind, **how, **extra)))
    ways = (_flipped, _cut, _repeated, _removed, _overwritten, _spliced)
    for at in range(count):
        kind, data = whole[int(rng.integers(len(whole)))]
        _, other = whole[int(rng.integers(len(whole)))]
        way = ways[at % len(ways)]
        yield Case(f"{kind}, damaged", f"{way.__name__.strip('_')} {at}", way(data, other, rng))


def _flipped(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Some bits, half of the time near the start, where the lengths are."""
    changed = bytearray(data)
    reach = len(data) if rng.random() < 0.5 else min(len(data), 120)
    for _ in range(int(rng.integers(1, 24))):
        changed[int(rng.integers(reach))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


def _repeated(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start, length = int(rng.integers(len(data))), int(rng.integers(1, 200))
    return data[: start + length] + data[start : start + length] * int(rng.integers(1, 50)) + data[start + length :]


def _removed(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + int(rng.integers(1, 64)) :]


def _overwritten(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A two- or four-byte number by an extreme one, in either order of bytes."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        size = 2 if rng.random() < 0.5 else 4
        at = int(rng.integers(min(len(data), 200) - size))
        value = EXTREMES[int(rng.integers(len(EXTREMES)))] & ((1 << 8 * size) - 1)
        changed[at : at + size] = value.to_bytes(size, "big" if rng.random() < 0.5 else "little")
    return bytes(changed)


def _spliced(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))] + other[int(rng.integers(len(other))) :]


# ---- bombs and nested horrors ----------------------------------------------------------------------------------------


def heavy_bombs() -> Iterator[Case]:
    """Small files that ask for gigabytes or for hours, and take seconds to make."""
    for side in (7_000, 13_000, 40_000, 65_535, 1 << 20, (1 << 31) - 1):
        yield Case("PNG bomb", f"grey of {side} squared", png(side, side, 1, 0, png_rows(side, 1)))
        yield Case("PNG bomb", f"RGBA of 16 bits, {side} squared", png(side, side, 16, 6, png_rows(side, 64)))
    for name, head in (("zTXt", b"Comment\0\0"), ("iTXt", b"Comment\0\1\0\0\0"), ("iCCP", b"profile\0\0")):
        for size in (20, 200, 600):
            chunk = png_chunk(name.encode(), head + squeezed(size << 20))
            yield Case("PNG bomb", f"{name} of {size} MiB", with_chunk(chunk))
    yield Case("PNG bomb", "200,000 empty chunks", with_chunk(png_chunk(b"teXt", b"") * 200_000))
    yield Case("PNG bomb", "animation of a thousand frames", animation("PNG", 1000))
    yield Case("GIF bomb", "animation of a thousand frames", animation("GIF", 1000))
    yield Case("WEBP bomb", "animation of 300 frames", animation("WEBP", 300))
    whole = encoded(drawn(2000, 2000, "RGB", 2), "JPEG", progressive=True, quality=30)
    scan = whole.rindex(b"\xff\xda")
    yield Case("JPEG bomb", "the last scan of 4 megapixels 400 times", whole[:-2] + whole[scan:-2] * 400 + b"\xff\xd9")


def bombs() -> Iterator[Case]:
    """Files that lie about their size, lead in circles, or hold another file."""
    plain = {kind: encoded(drawn(60, 40, "RGB", 1).convert(mode), kind) for kind, mode in PLAIN}
    for width, height in ((65_535, 65_535), (65_535, 600), (30_000, 30_000), (0, 10), (10, 0)):
        for kind, resized in RESIZED.items():
            yield Case(f"{kind} bomb", f"says {width} x {height}", resized(plain[kind], width, height))
    yield from tiff_horrors(plain["TIFF"])
    yield from jpeg_horrors()
    for kind, data in plain.items():
        yield Case(
            "nested", f"{kind} within the EXIF of a JPEG", encoded(drawn(60, 40, "RGB", 1), "JPEG", exif=in_exif(data))
        )
        yield Case("nested", f"{kind} behind a {kind}", data * 50)
        yield Case("nested", f"zip before a {kind}", b"PK\3\4" + bytes(26) + data)
    for head in (
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"PK\3\4",
        b"\x7fELF",
        b"8BPS\0\1",
        b"\0\0\1\0",
    ):
        yield Case("another kind", repr(head), head + bytes(4000))


PLAIN = (("JPEG", "RGB"), ("PNG", "RGB"), ("WEBP", "RGB"), ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "RGB"))


def squeezed(size: int) -> bytes:
    """``size`` zeros, deflated, without ever holding them at once."""
    press, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [press.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, press.compress(bytes(size & (1 << 20) - 1)), press.flush()])


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def png_rows(side: int, bits_per_pixel: int) -> bytes:
    return squeezed(min(side * (side * bits_per_pixel // 8 + 1), 64 << 20))


def with_chunk(chunk: bytes) -> bytes:
    whole = encoded(drawn(60, 40, "RGB", 1), "PNG")
    return whole[:33] + chunk + whole[33:]


def animation(kind: str, frames: int) -> bytes:
    others = [Image.new("RGB", (60, 40), (at % 256, at // 256, 0)) for at in range(1, frames)]
    return encoded(drawn(60, 40, "RGB", 1), kind, save_all=True, append_images=others)


def _bmp(data: bytes, width: int, height: int) -> bytes:
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def _gif(data: bytes, width: int, height: int) -> bytes:
    changed = bytearray(data[:6] + struct.pack("<HH", width, height) + data[10:])
    frame = changed.index(b",\0\0\0\0")
    changed[frame + 5 : frame + 9] = struct.pack("<HH", width, height)
    return bytes(changed)


def _png(data: bytes, width: int, height: int) -> bytes:
    return data[:8] + png_chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def _jpeg(data: bytes, width: int, height: int) -> bytes:
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


def _webp(data: bytes, width: int, height: int) -> bytes:
    frame = data.index(b"\x9d\x01\x2a")
    return data[: frame + 3] + struct.pack("<HH", width & 0x3FFF, height & 0x3FFF) + data[frame + 7 :]


def _tiff(data: bytes, width: int, height: int) -> bytes:
    return with_entry(with_entry(data, 256, width), 257, height)


RESIZED: dict[str, Callable[[bytes, int, int], bytes]] = {
    "BMP": _bmp, "GIF": _gif, "PNG": _png, "JPEG": _jpeg, "WEBP": _webp, "TIFF": _tiff,
}  # fmt: skip


def with_entry(data: bytes, tag: int, value: int, count: int = 1) -> bytes:
    """A little-endian TIFF with one entry of its first directory changed."""
    changed = bytearray(data)
    (start,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[start : start + 2])
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        if struct.unpack("<H", data[at : at + 2])[0] == tag:
            changed[at : at + 12] = struct.pack("<HHII", tag, 4, count, value)
    return bytes(changed)


def tiff_horrors(data: bytes) -> Iterator[Case]:
    (start,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[start : start + 2])
    end = start + 2 + 12 * entries
    yield Case(
        "TIFF bomb", "a directory that comes after itself", data[:end] + struct.pack("<I", start) + data[end + 4 :]
    )
    yield Case("TIFF bomb", "65,535 entries", data[:start] + b"\xff\xff" + data[start + 2 :])
    for tag in (258, 273, 277, 278, 279, 320):
        for count, value in ((1, 0xFFFFFFFF), (0xFFFFFFFF, 8), (0x10000000, 8)):
            yield Case("TIFF bomb", f"tag {tag}: {count} of {value}", with_entry(data, tag, value, count))


def jpeg_horrors() -> Iterator[Case]:
    small = encoded(drawn(60, 40, "RGB", 1), "JPEG")
    yield Case("JPEG bomb", "20,000 empty comments", small[:2] + b"\xff\xfe\0\2" * 20_000 + small[2:])
    yield Case("JPEG bomb", "a thousand colour profiles", small[:2] + icc_segments() + small[2:])
    yield Case(
        "JPEG bomb", "an EXIF directory that comes after itself", encoded(drawn(60, 40, "RGB", 1), "JPEG", exif=loop())
    )


def icc_segments() -> bytes:
    return b"".join(
        b"\xff\xe2" + struct.pack(">H", 2 + 14 + 60_000) + b"ICC_PROFILE\0" + bytes([at % 255 + 1, 255]) + bytes(60_000)
        for at in range(1000)
    )


def loop() -> bytes:
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)  # the EXIF directory is this directory
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8)


def in_exif(data: bytes) -> bytes:
    """A picture as the thumbnail of another."""
    first = struct.pack("<IH", 8, 0) + struct.pack("<I", 14)
    second = struct.pack("<H", 2) + struct.pack("<HHIIHHII", 0x201, 4, 1, 44, 0x202, 4, 1, len(data)) + bytes(4)
    return (b"Exif\0\0II*\0" + first + second + data)[:60_000]


# ---- honest, and as large as may be ----------------------------------------------------------------------------------


def largest() -> Iterator[Case]:
    """Pictures just inside the limit of pixels, in every format: they decode, or say that they need more memory."""
    side = int(LARGEST_PIXELS**0.5)
    for kind, mode, how in KINDS:
        if kind == "WEBP":
            how = {**how, "method": 0}
        picture = Image.new("L" if mode == "I;16" else mode, (side, side))
        if mode == "I;16":
            picture = Image.fromarray(np.zeros((side, side), np.uint16))
        yield Case("as large as may be", f"{kind} {mode} {how}", encoded(picture, kind, **how))


def main(folder: Path, count: int, seed: int) -> None:
    for at, case in enumerate(chain(mutations(count, seed), bombs(), heavy_bombs(), largest())):
        name = "".join(letter if letter.isalnum() or letter in " ,.:=-" else "_" for letter in case.name)[:100]
        (folder / f"{at:06}~{case.family}~{name}").write_bytes(case.data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
