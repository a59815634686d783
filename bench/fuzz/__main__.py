"""Coverage-guided fuzzing of every parser (atheris): does any raise what it does not declare?

    python -m bench.fuzz --executions 1000000 --json FILE [--only NAME ...] [--at-once 2]

Parsers of bytes from the other side, of files on disk and of what people write: bench/fuzz/targets. Each runs in a
process of its own, from right inputs on. An input that is taken or refused with a kind of UnseenError that the parser
declares is as it should be; anything else is a finding: another exception, a crash, more than 2 GiB, more than ten
seconds. Prints a table, ends with 1 when there was a finding. About an hour and a half of one core for a million
executions each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.fuzz.target import Target
from bench.fuzz.targets import all_targets
from bench.measure import memory_folder, print_table, write_json

SLOWEST_S, MOST_MIB = 10, 2048
OVERSHOOT = 1000
"""libFuzzer counts a little otherwise than we do: it is asked for more, and the wanted number is counted here."""
_COVERED = re.compile(r"cov: (\d+) ft: (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=1_000_000, help="of each target")
    names = [one.name for _, one in all_targets()]
    parser.add_argument("--only", nargs="+", choices=names, metavar="TARGET", default=names, help="all without it")
    parser.add_argument("--at-once", type=int, default=1, help="targets that run at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    chosen = [(room, one) for room, one in all_targets() if one.name in wanted.only]
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(wanted.at_once) as threads:
        for row in threads.map(lambda pair: fuzzed(pair[0], pair[1], wanted.executions, wanted.seed), chosen):
            rows.append(row)
            write_json(wanted.json, {"executions_each": wanted.executions, "seed": wanted.seed, "targets": rows})
    header = tuple(shown(rows[0]))
    lines = [tuple(map(str, shown(row).values())) for row in rows]
    print_table(f"{wanted.executions:,} executions of each of {len(rows)} parsers", lines, header)
    broken = [row for row in rows if row["found"] or row["died"] or not row["taken"]]
    for row in broken:
        ended = "died" if row["died"] else "" if row["taken"] else "took nothing, not even what is right"
        print(row["target"], ended, row["died"][-2000:], json.dumps(row["found"], indent=1))
    if broken:
        raise SystemExit(1)


def fuzzed(room: str, target: Target, executions: int, seed: int) -> dict[str, Any]:
    """What came of one target."""
    with tempfile.TemporaryDirectory(prefix="unseen-fuzz-", dir=memory_folder()) as name:
        folder = Path(name)
        corpus = folder / "corpus"
        corpus.mkdir()
        began = time.perf_counter()
        command, environment = _command(room, target, executions, seed, folder), os.environ | {"TMPDIR": name}
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        seconds = time.perf_counter() - began
        said, summary = done.stderr.decode("utf-8", "replace"), folder / "summary"
        outcome: dict[str, Any] = {"taken": 0, "refused": 0, "found": {}}
        if summary.exists():
            outcome = json.loads(summary.read_text())
        covered = [(int(cov), int(features)) for cov, features in _COVERED.findall(said)]
        row = {
            "target": target.name,
            "executions": outcome["taken"] + outcome["refused"],
            **outcome,
            "branches": covered[-1][0] if covered else 0,
            "branches_of_seeds": covered[0][0] if covered else 0,
            "seconds": round(seconds, 1),
            "died": "" if done.returncode == 0 and summary.exists() else said[-4000:] or "without a word",
        }
        print(*shown(row).values(), flush=True)
        return row


def _command(room: str, target: Target, executions: int, seed: int, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "bench.fuzz.guided", room, target.name, str(executions), str(folder / "summary")),
        *(str(folder / "corpus"), f"-runs={executions + OVERSHOOT}", f"-seed={seed}", f"-max_len={target.most_bytes}"),
        *(f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MIB}", f"-artifact_prefix={folder}/", "-len_control=0"),
    ]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the table."""
    return {name: row[name] for name in ("target", "executions", "taken", "refused", "branches", "seconds")} | {
        "undeclared": len(row["found"]) + bool(row["died"])
    }


if __name__ == "__main__":
    main()
