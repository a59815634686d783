"""bench.governed runs from beginning to end, every side searches and enrols, and the ratios are against the first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.governed import SIDES
from bench.sides import ratios

REPOSITORY = Path(__file__).parents[2]


def test_governed_bench_writes_its_figures(tmp_path: Path) -> None:
    target = tmp_path / "governed.json"
    command = [sys.executable, "-m", "bench.governed", "--rows", "300", "--dim", "64", "--repeats", "1"]
    subprocess.run([*command, "--json", str(target)], cwd=REPOSITORY, check=True, timeout=300)
    figures = json.loads(target.read_text())
    for name in ("search_ms", "server_part_ms", "search_ratio", "enrol_rows_per_s", "enrol_ratio"):
        assert list(figures[name]) == list(SIDES)
    assert all(0 < us < 100_000 for us in figures["check_us"].values())
    assert figures["search_ratio"][next(iter(SIDES))] == 1


def test_ratios_are_those_of_medians() -> None:
    assert ratios({"plain": [1.0, 2.0, 90.0], "other": [3.0, 3.0, 0.1]}) == {"plain": 1.0, "other": 1.5}
