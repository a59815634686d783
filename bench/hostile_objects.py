"""Malformed and hostile DICOM objects in any number, the same for the same seed: for whoever says that none does harm.

Made from the objects that pydicom ships: bytes changed, pieces cut, doubled and taken out, lengths and counts set to
what hurts, pixels of one object in the header of another; and bombs: deflated, nested, swarms of items, huge numbers of
rows, frames and fragments, compressed frames that unfold to gigabytes.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
SEEDS = (
    *("693_J2KI.dcm", "CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm"),
    *("MR_small_implicit.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_small_odd_jpeg.dcm", "image_dfl.dcm"),
    *("liver_1frame.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "SC_rgb_rle_2frame.dcm", "rtdose.dcm"),
)
LARGEST_SEED_BYTES = 300_000
HURTFUL = (0, 1, 0xFE, 0xFF, 0x7F, 0x80)
HURTFUL_NUMBERS = (0, 1, 0xFFFF, 0x8000, 0x7FFF)
DEFLATED = b"1.2.840.10008.1.2.1.99\0"
EXPLICIT = b"1.2.840.10008.1.2.1\0"
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)


def hostile_objects(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the bombs, then of so many mutations."""
    yield from bombs()
    yield from mutations(count, seed)


def mutations(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of so many objects that something was done to."""
    chance = random.Random(seed)
    originals = [(name, (FOLDER / name).read_bytes()) for name in SEEDS if (FOLDER / name).exists()]
    originals = [(name, data) for name, data in originals if len(data) <= LARGEST_SEED_BYTES]
    for _ in range(count):
        name, data = chance.choice(originals)
        kind = chance.choice([changed, cut, doubled, taken_out, lengths_set, numbers_set, spliced])
        other = chance.choice(originals)[1]
        yield f"{kind.__name__} {name}", kind(data, other, chance)


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(chance.choice([1, 4, 20, 200])):
        mutant[chance.randrange(132, len(mutant))] = chance.choice([*HURTFUL, chance.randrange(256)])
    return bytes(mutant)


def cut(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def doubled(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(132, len(data)), chance.randrange(1, 2000)
    return data[:at] + data[max(132, at - length) : at] + data[at:]


def taken_out(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(132, len(data))
    return data[:at] + data[at + chance.randrange(1, 2000) :]


def lengths_set(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """A length of some element becomes another: after a VR of two capital letters."""
    places = [
        at for at in range(136, min(len(data) - 8, 6000)) if data[at : at + 2].isalpha() and data[at : at + 2].isupper()
    ]
    mutant = bytearray(data)
    for at in chance.sample(places, min(len(places), chance.choice([1, 3]))):
        mutant[at + 2 : at + 4] = struct.pack("<H", chance.choice([*HURTFUL_NUMBERS, chance.randrange(65536)]))
    return bytes(mutant)


def numbers_set(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Rows, columns, bits, samples or planes become what hurts."""
    mutant = bytearray(data)
    for tag in chance.sample([0x0002, 0x0006, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103], 2):
        at = data.find(struct.pack("<HH2s", 0x0028, tag, b"US"))
        at = at + 8 if at > 0 else data.find(struct.pack("<HHI", 0x0028, tag, 2)) + 8
        if 132 < at < len(mutant) - 2:
            mutant[at : at + 2] = struct.pack("<H", chance.choice([*HURTFUL_NUMBERS, chance.randrange(65536)]))
    return bytes(mutant)


def spliced(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The header of one object with the end of another."""
    return data[: chance.randrange(132, len(data))] + other[chance.randrange(132, len(other)) :]


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that ask for much."""
    base = (FOLDER / "CT_small.dcm").read_bytes()
    meta = base[: 144 + struct.unpack_from("<I", base, 140)[0]]
    header = base[: base.rindex(struct.pack("<HH", 0x7FE0, 0x0010))]
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    for megabytes in (1, 300):
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = bytes(1 << 20)
        body = b"".join(squeezer.compress(block) for _ in range(megabytes)) + squeezer.flush()
        yield f"deflated {megabytes} MiB", _with_syntax(meta, DEFLATED) + body
    for depth in (15, 50, 500, 20_000):
        yield f"nested {depth}", base + (opening + ITEM) * depth
    for count in (10_000, 600_000):
        swarm = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * count
        yield f"items {count}", base + opening + swarm
        pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
        yield f"fragments {count}", _with_syntax(meta, b"1.2.840.10008.1.2.4.50") + header[len(meta) :] + pixels + swarm
    for length in (0x7FFFFFFE, 0xFFFFFFFE, 100_000_000):
        yield f"length {length}", base + struct.pack("<HH2sHI", 0x0008, 0x2111, b"UT", 0, length)
    for name, syntax in (
        ("MR_small_RLE.dcm", "RLE"),
        ("693_J2KI.dcm", "JPEG 2000"),
        ("MR_small_jpeg_ls_lossless.dcm", "JPEG-LS"),
    ):
        for rows in (20_000, 65_535):
            large = bytearray((FOLDER / name).read_bytes())
            for tag in (0x0010, 0x0011):
                at = large.find(struct.pack("<HH2sH", 0x0028, tag, b"US", 2)) + 8
                large[at : at + 2] = struct.pack("<H", rows)
            yield f"{syntax} of {rows} rows and columns", bytes(large)
    rle = (FOLDER / "SC_rgb_rle_2frame.dcm").read_bytes()
    at = rle.find(struct.pack("<HH2s", 0x0028, 0x0008, b"IS"))
    yield "a million frames", rle[: at + 6] + struct.pack("<H", 8) + b"1000000 " + rle[at + 8 + rle[at + 6] :]


def _with_syntax(meta: bytes, syntax: bytes) -> bytes:
    """The file meta information with another transfer syntax of even length."""
    at = meta.index(struct.pack("<HH2s", 0x0002, 0x0010, b"UI"))
    old = struct.unpack_from("<H", meta, at + 6)[0]
    value = syntax + b"\0" * (len(syntax) % 2)
    new = meta[: at + 6] + struct.pack("<H", len(value)) + value + meta[at + 8 + old :]
    length = struct.unpack_from("<I", meta, 140)[0] + len(value) - old
    return new[:140] + struct.pack("<I", length) + new[144:]
