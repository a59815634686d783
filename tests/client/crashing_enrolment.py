"""Run as a script in a process of its own: enrol with noise and be killed on the way.

    python crashing_enrolment.py SERVER HOME NAME POINT
    POINT: charged, kept, unsent (before the server has it), unacknowledged (after the server has it)

Prints the SHA-256 of every noised vector that was drawn, before it dies.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path

import numpy as np

from unseen_client import Client
from unseen_client.privacy.unacknowledged import Unacknowledged

IDS = ["a", "b"]
DIMENSION = 16


def true_vectors() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((len(IDS), DIMENSION)).astype(np.float32)


def digest(vector: np.ndarray) -> str:
    """Of a noised vector as members see it: a unit vector in half precision."""
    unit = vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))
    return digest_as_kept(unit.astype(np.float32))


def digest_as_kept(unit: np.ndarray) -> str:
    """Of one that came back: its length is 1 but for rounding, and to set it anew could round it once more."""
    return hashlib.sha256(unit.astype("<f2").tobytes()).hexdigest()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(point: str) -> None:
    true_keep, true_exchange = Unacknowledged.keep, Client._exchange

    def keep(self, released):
        for vector in released.values():
            sys.stdout.write(f"drawn {digest(vector)}\n")
        sys.stdout.flush()
        if point == "charged":
            die()
        true_keep(self, released)
        if point == "kept":
            die()

    def exchange(self, step):
        enrols = step.rpc.path.endswith("EnrolRows")
        if enrols and point == "unsent":
            die()
        true_exchange(self, step)
        if enrols:
            die()

    Unacknowledged.keep = keep  # type: ignore[method-assign]
    Client._exchange = exchange  # type: ignore[method-assign]


if __name__ == "__main__":
    server, home, name, point = sys.argv[1:]
    crash_at(point)
    with Client(server, home=Path(home)) as client:
        client.enrol_vectors(name, IDS, true_vectors(), noise="privunit:8")
