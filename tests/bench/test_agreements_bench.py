"""bench.agreements runs from beginning to end, and every side searches and enrols."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.agreements import SIDES

REPOSITORY = Path(__file__).parents[2]


def test_agreements_bench_writes_its_figures(tmp_path: Path) -> None:
    target = tmp_path / "agreements.json"
    command = [sys.executable, "-m", "bench.agreements", "--rows", "1200", "--dim", "16", "--repeats", "1"]
    subprocess.run([*command, "--json", str(target)], cwd=REPOSITORY, check=True, timeout=300)
    figures = json.loads(target.read_text())
    for name in ("search_ms", "server_part_ms", "search_ratio", "enrol_rows_per_s", "enrol_ratio"):
        assert list(figures[name]) == list(SIDES)
        assert all(figures[name].values())
    assert figures["search_ratio"][next(iter(SIDES))] == 1
