"""Looking for vectors in a process's memory: /proc/PID/mem of a real server, read as an administrator can.

What is looked for, of one enrolled row:

    float32    its coordinates, and its unit vector's: a server never gets them
    int16      the row as it travels and as stores and packed blocks spell it out, forwards and backwards
    residues   the transformed polynomials of its packed block, which a scan reads: they change with any of its rows
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.server.server_process import ServerProcess
from unseen.he.owner.layout import Layout
from unseen.he.owner.secret import rings
from unseen.he.packing import Packing
from unseen.he.ring import ring
from unseen.params import DEFAULT

LINE = 16
"""Residues of one coefficient tile that lie side by side in a segment: 64 bytes."""
NEEDLE_BYTES = 16


SOURCES = os.pathsep.join(str(Path(__file__).parents[2] / folder) for folder in ("core", "server"))


class OpenServer(ServerProcess):
    """A server whose memory can be read, by root and by whoever started it."""

    def command(self, *options: str) -> list[str]:
        command = super().command(*options)
        return [command[0], "-P", str(Path(__file__).with_name("open_server.py")), *command[3:]]

    def start(self, **popen: Any) -> OpenServer:
        environment = os.environ | {"PYTHONPATH": SOURCES} | popen.pop("env", {})
        super().start(env=environment, **popen)
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


def needles_of(row: npt.NDArray[np.int16], vector: npt.NDArray[np.float32]) -> dict[str, list[bytes]]:
    """Sixteen bytes each, from the middle of everything that spells the row out."""
    return {
        "float32": [_middle(vector.astype("<f4").tobytes())],
        "int16": [_middle(row.astype("<i2").tobytes()), _middle(row[::-1].astype("<i2").tobytes())],
    }


def residues_of(packing: Packing, block_rows: npt.NDArray[np.int16]) -> list[bytes]:
    """Lines of the transformed polynomials of a block of rows (rows_per_block, dimension)."""
    lanes_of = ring(DEFAULT.ring_degree, DEFAULT.modulus)
    polynomials = packing.row_polynomials(block_rows)[:1].astype(np.int64)
    lanes = np.zeros((1, DEFAULT.ring_degree, LINE), np.uint32)
    lanes[0, :, 0] = polynomials[0] % DEFAULT.modulus
    lanes_of.forward(lanes)
    residues = lanes[0, :, 0].astype(np.int64)
    centred = np.where(residues > DEFAULT.modulus // 2, residues - DEFAULT.modulus, residues).astype("<i4")
    tile = len(centred) // LINE // 2
    return [centred[tile * LINE : (tile + 1) * LINE].tobytes()]


def owner_needles_of(
    layout: Layout, rows: npt.NDArray[np.int16], query: npt.NDArray[np.int64], vector: npt.NDArray[np.float32]
) -> dict[str, list[bytes]]:
    """What would spell out a row, the first one of a whole block, and a query, if an owner-encrypted one leaked."""
    packing, numbers = layout.whole, rows[0].astype(np.int64)
    polynomials = packing.row_polynomials(rows)[:2].astype(np.int64)
    small = np.rint(vector * 127)
    residues = []
    for one in rings(layout.parameters):
        centred, half = one.forward(polynomials), one.degree // 2
        residues.append(_middle(one.residues(centred[0]).astype("<u2").tobytes()))  # as it comes
        residues.append(centred[:, half : half + 4].T.astype("<i2").tobytes())  # as segments have it: chunks in pairs
    return {
        "floats": [_middle(vector.astype(kind).tobytes()) for kind in ("<f8", "<f4", "<f2")],
        "integers": [_middle(numbers.astype(kind).tobytes()) for kind in ("<i8", "<i4", "<i2")]
        + [_middle(numbers[::-1].astype("<i2").tobytes()), _middle(small.astype("<i1").tobytes())],
        "query": [_middle(query.astype(kind).tobytes()) for kind in ("<i8", "<i4")],
        "residues": residues,
    }


def _middle(data: bytes) -> bytes:
    start = (len(data) - NEEDLE_BYTES) // 4 * 2
    return data[start : start + NEEDLE_BYTES]


def places(pid: int, needles: list[bytes]) -> int:
    """How often one of these is found in a process's memory."""
    return sum(data.count(needle) for data in dumped(pid) for needle in needles)


def dumped(pid: int) -> Iterator[bytes]:
    """All that a process may write to, region by region."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for first, end in _regions(pid):
            memory.seek(first)
            try:
                yield memory.read(end - first)
            except OSError:
                continue  # mapped, but nothing stands behind it


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    """Everything that may be written to: heaps, stacks, pages of its own; not the code of libraries."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ", line)
        assert found is not None
        if found[3].startswith("rw"):
            yield int(found[1], 16), int(found[2], 16)
