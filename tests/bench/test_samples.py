"""Benches of the evidence that no other test runs: each still goes through, at a size that says nothing of speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.real_server import ENVIRONMENT, ROOT

SAMPLES = {
    "bench.owner_road": ["--rows", "300"],
    "bench.erasure": ["--rows", "300", "--dim", "64"],
    "bench.noise_utility": ["--rows", "200", "--dim", "64", "--project", "32"],
}


@pytest.mark.parametrize("bench", SAMPLES)
def test_the_bench_goes_through_and_writes_its_figures(bench: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", bench, *SAMPLES[bench], "--json", str(tmp_path / "figures.json")]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "figures.json").read_text())
