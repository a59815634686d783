"""Run as a script in a process of its own: charge and release until killed, at a chosen point or from outside.

    python crashing_charge.py FOLDER POINT     POINT: before-write, mid-write, after-write, after-fsync, never

Prints one line for each release that left.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

from unseen.dp.charged import release_charged
from unseen.dp.ledger import Budget, Ledger
from unseen.dp.privunit import PrivUnit

CHARGES_BEFORE_THE_CRASH = 3


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(point: str) -> None:
    """From now on, die at this point of a charge."""
    true_write, true_fsync = os.write, os.fsync

    def write(descriptor: int, data: bytes) -> int:
        if point == "before-write":
            die()
        if point == "mid-write":
            true_write(descriptor, data[: len(data) // 2])
            die()
        return true_write(descriptor, data)

    def fsync(descriptor: int) -> None:
        if point == "after-write":
            die()
        true_fsync(descriptor)
        if point == "after-fsync":
            die()

    os.write, os.fsync = write, fsync  # type: ignore[assignment]


def main(folder: Path, point: str) -> None:
    ledger = Ledger(folder, Budget(1e6, 1e-6), Budget(1e6, 1e-6))
    vector = np.ones((1, 8), np.float32)
    released = 0
    while True:
        if point != "never" and released == CHARGES_BEFORE_THE_CRASH:
            crash_at(point)
        release_charged(PrivUnit(0.5), vector, ledger, "this device", ["somebody"])
        released += 1
        sys.stdout.write(f"released {released}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
