"""The coordinates of a row as encryption uses them, in few bytes: what a record of an owner-encrypted collection keeps.

On the device only, inside sealed records. The length follows from scale and dimension alone, so it says nothing of the
vector. Coordinates are whole numbers whose squares sum up to about the square of the scale (``unseen.he.quantise``):
most are small, so each takes ``low_bits`` bits and, for what is above them, as many ones as it is, and a zero. That is
Golomb's code (Golomb 1966, Run-Length Encodings, with Rice's powers of two).
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from unseen.he.bits import pack_bits, packed_bytes, unpack_bits

Float32Array = npt.NDArray[np.float32]
Int16Array = npt.NDArray[np.int16]

LONGEST = 1.01
"""No row is longer than this many times its scale: every parameter set has a lower cap."""
_HEAD = struct.Struct("<HH")


def low_bits(scale: int, dimension: int) -> int:
    """Bits of a coordinate that are written as they are: as many as an average one has, with its sign."""
    return max(1, int(scale / dimension**0.5).bit_length())


def coordinates_bytes(scale: int, dimension: int) -> int:
    """Length of every row: enough for any, since the absolute values sum up to sqrt(dimension) lengths at most."""
    low = low_bits(scale, dimension)
    highest = 2 * LONGEST * scale * dimension**0.5 / (1 << low)
    return _HEAD.size + packed_bytes(low, dimension) + packed_bytes(1, dimension + int(highest))


def write_coordinates(row: Int16Array, scale: int) -> bytes:
    """Lay a row (d,) out. Its integer norm is at most LONGEST * scale; ValueError for a longer one."""
    low = low_bits(scale, len(row))
    wide = row.astype(np.int32)
    folded = np.where(wide < 0, -2 * wide - 1, 2 * wide)  # the sign in the lowest bit
    ends = np.cumsum((folded >> low) + 1) - 1
    room = coordinates_bytes(scale, len(row)) - _HEAD.size - packed_bytes(low, len(row))
    if ends[-1] >= 8 * room:
        raise ValueError("a row is longer than any that is encrypted")
    highs = np.ones(8 * room, np.uint8)
    highs[ends] = 0
    lows = pack_bits((folded & ((1 << low) - 1)).astype(np.uint32)[None], low)
    return _HEAD.pack(scale, len(row)) + lows.tobytes() + np.packbits(highs, bitorder="little").tobytes()


def read_coordinates(data: bytes) -> tuple[Int16Array, int]:
    """The inverse: the row and its scale; ValueError for anything else."""
    if len(data) < _HEAD.size:
        raise ValueError("no coordinates")
    scale, dimension = _HEAD.unpack_from(data)
    if not scale or not dimension or len(data) != coordinates_bytes(scale, dimension):
        raise ValueError("coordinates of another length than their dimension needs")
    low = low_bits(scale, dimension)
    split = _HEAD.size + packed_bytes(low, dimension)
    lows = unpack_bits(np.frombuffer(data[_HEAD.size : split], np.uint8)[None], low, dimension)[0].astype(np.int64)
    ends = np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8, offset=split), bitorder="little") == 0)
    if len(ends) < dimension:
        raise ValueError("coordinates that end too early")
    folded = ((np.diff(ends[:dimension], prepend=-1) - 1) << low) | lows
    return np.where(folded & 1, -(folded >> 1) - 1, folded >> 1).astype(np.int16), scale


def as_vector(row: Int16Array, scale: int) -> Float32Array:
    """Coordinates as a vector of about unit length; ``as_coordinates`` gives the very same ones back."""
    return row.astype(np.float32) / np.float32(scale)


def as_coordinates(vector: Float32Array, scale: int) -> Int16Array:
    """The coordinates that a vector of ``as_vector`` was made of."""
    return np.asarray(np.rint(vector * np.float32(scale)), np.int16)
