"""Connected patches of a mask, by their runs: which pixels belong together, without an image library.

For the device only. Holds a mask for the length of a call. Rosenfeld & Pfaltz 1966, on runs instead of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Patch:
    """One connected set of pixels (also over corners): left, top, right, bottom (excluded), and which are in it."""

    box: tuple[int, int, int, int]
    inside: Mask
    """(bottom - top, right - left)."""

    @property
    def thickness(self) -> int:
        """Pixels across a typical place, whichever way the patch lies: the height of a line of text."""
        counts = (self.inside.sum(axis=0), self.inside.sum(axis=1))
        return int(min(np.median(count[count > 0]) for count in counts))


def patches_of(mask: Mask) -> list[Patch]:
    """Return the connected patches of a mask (height, width), in reading order of their first pixels."""
    rows, starts, ends = _runs(mask)
    roots = _joined(rows, starts, ends)
    found: dict[int, list[int]] = {}
    for run, root in enumerate(roots):
        found.setdefault(root, []).append(run)
    return [_patch(rows[members], starts[members], ends[members]) for members in found.values()]


def _runs(mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row, first column and column after the last of every horizontal run, in reading order."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends


def _joined(rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[int]:
    """For each run the first run of its patch."""
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    first_of_row = np.searchsorted(rows, np.arange(int(rows[-1]) + 2)) if len(rows) else np.zeros(1, np.int64)
    left, right, row = starts.tolist(), ends.tolist(), rows.tolist()
    for run in range(len(row)):
        if row[run] == 0:
            continue
        above, end = int(first_of_row[row[run] - 1]), int(first_of_row[row[run]])
        above += int(np.searchsorted(ends[above:end], left[run]))
        while above < end and left[above] <= right[run]:
            a, b = root(above), root(run)
            parents[max(a, b)] = min(a, b)
            above += 1
    return [root(run) for run in range(len(row))]


def _patch(rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Patch:
    left, top, right, bottom = int(starts.min()), int(rows.min()), int(ends.max()), int(rows.max()) + 1
    inside = np.zeros((bottom - top, right - left), np.bool_)
    for row, start, end in zip((rows - top).tolist(), (starts - left).tolist(), (ends - left).tolist(), strict=True):
        inside[row, start:end] = True
    return Patch((left, top, right, bottom), inside)


def grown(inside: Mask, margin: int) -> Mask:
    """Return a mask larger by ``margin`` on every side, in which every pixel within that many steps of one is set."""
    return box_sums(np.pad(inside, margin).astype(np.float64), margin) > 0.5


def box_sums(values: npt.NDArray[np.float64], radius: int) -> npt.NDArray[np.float64]:
    """Return for each pixel the sum of the values within ``radius`` steps of it, diagonals counted as one step."""
    sums = values
    for axis in (0, 1):
        size = sums.shape[axis]
        running = np.cumsum(np.insert(sums, 0, 0, axis=axis), axis=axis)
        low, high = np.clip(np.arange(size) - radius, 0, size), np.clip(np.arange(size) + radius + 1, 0, size)
        sums = np.take(running, high, axis=axis) - np.take(running, low, axis=axis)
    return sums
