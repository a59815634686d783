"""bench.search runs from beginning to end and writes every figure that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PARTS = {"prepare_ahead", "encrypt", "upload", "scan", "download", "wait", "decrypt", "rank"}


def test_search_bench_writes_its_figures(tmp_path: Path) -> None:
    target = tmp_path / "search.json"
    command = [sys.executable, "-m", "bench.search", "--rows", "300", "--dim", "64", "--repeats", "2"]
    subprocess.run([*command, "--sustained", "3", "--json", str(target)], cwd=REPOSITORY, check=True)
    figures = json.loads(target.read_text())
    assert {"p50_ms", "p95_ms", "bytes_up", "bytes_down", "ratio_to_plaintext", "machine"} <= set(figures)
    assert set(figures["split_p50_ms"]) == PARTS
    assert figures["sustained"]["queries"] == 3
    assert figures["socket_bytes_up"] > figures["bytes_up"] > 1000
    assert figures["socket_bytes_down"] > figures["bytes_down"] > 1000
    assert figures["server_rss_bytes"] > 0
    assert figures["restart_s"] > 0
