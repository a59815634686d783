"""Measuring side by side: interleaved repeats, medians, the machine, and one JSON form for every bench.

The machines are shared and noisy, so a figure alone says little: every bench runs its subject and its peers in turn,
in one process, and reports medians and their ratio.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

PASSPHRASE = "words of the benches"
"""Of devices that make owner keys, which are kept under a lock only."""


def interleave(
    subjects: Mapping[str, Callable[[], object]], repeats: int, apart_s: float = 0.0
) -> dict[str, list[float]]:
    """Seconds of every call: one warm-up round, then ``repeats`` rounds in which each subject runs once.

    Calls so far apart let the threads of the one before come to rest: those of OpenBLAS and OpenMP spin on for some
    20 ms after their work, on a core that the next subject needs. The time is waited busily: a core that slept is slow.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for round_number in range(repeats + 1):
        for name, subject in subjects.items():
            ready_at = time.perf_counter() + apart_s
            while time.perf_counter() < ready_at:
                pass
            started = time.perf_counter()
            subject()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in seconds.items()}


def percentile(values: list[float], percent: float) -> float:
    """The value that this part of the runs did not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered)) - 1))]


def machine() -> dict[str, object]:
    """What the figures were seen on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    packages = {name: version(name) for name in ("numpy", "numba", "grpcio")}
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version(), **packages}


def print_table(title: str, rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> None:
    """A table whose first column is text and whose others are figures."""
    table = Table(title=title)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def write_json(path: Path | None, figures: Mapping[str, object]) -> None:
    """Write the figures with the machine they were seen on; no path, no file."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**figures, "machine": machine()}, indent=2) + "\n")


def memory_folder() -> Path | None:
    """Where files need no disk, if the system has such a place."""
    return found if (found := Path("/dev/shm")).is_dir() else None
