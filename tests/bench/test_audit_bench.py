"""bench.audit runs from beginning to end and writes every figure that docs/evidence.md has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_audit_bench_writes_its_figures(tmp_path: Path) -> None:
    target = tmp_path / "audit.json"
    command = [sys.executable, "-m", "bench.audit", "--leaves", "5000", "--repeats", "20", "--folder", str(tmp_path)]
    subprocess.run([*command, "--json", str(target)], cwd=REPOSITORY, check=True, timeout=300)
    figures = json.loads(target.read_text())
    assert set(figures["append_ms"]) == {
        "an act in the audit log", "write and fsync of the same bytes", "a row in SQLite, synchronous=FULL"
    }  # fmt: skip
    assert figures["proofs"]["inclusion_bytes_most"] <= 32 * 13
    assert figures["at_once"]["acts_per_fsync"] >= 1
    for name in ("start_after_close_s", "start_without_checkpoint_s", "verify_leaves_per_s", "bytes_per_leaf"):
        assert figures[name] > 0
