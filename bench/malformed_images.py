"""Do malformed and hostile pictures harm the device? Thousands through the real decoder, and what became of each.

    python -m bench.malformed_images --count 2400 --json bench-out/malformed-images.json

Prints a table: decoded, refused with which reason, children that died, the slowest picture, the most memory that any
child ever had. Ends with 1 when a refusal is not explained or a child passed its limit. About four minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unseen.errors import ImageRefused
from unseen_client import decode_child as child
from unseen_client.decode import REASONS, Decoder

CONTAINED = "broke the process that reads it"
EXPLAINED = (*REASONS.values(), "takes over", "seconds of computing", "expected at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2400, help="mutated pictures, beside the bombs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--written", type=Path, help="measure what bench.hostile_pictures wrote there, print JSON")
    wanted = parser.parse_args()
    if wanted.written:
        print(json.dumps(measured(written_cases(wanted.written))))
        return
    with TemporaryDirectory() as folder:
        figures = measured_elsewhere(folder, wanted.count, wanted.seed)
    for line in table(figures):
        print(line)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))
    if figures["unexplained"] or figures["child_peak_mib"] > child.MEMORY_BYTES >> 20:
        raise SystemExit(1)


def measured_elsewhere(folder: str, count: int, seed: int) -> dict[str, Any]:
    """Make the pictures in one process and measure in another: a process counts its own children's memory only.

    A child's peak counts from what its parent held when it was started, so that parent is kept small.
    """
    made = [sys.executable, "-m", "bench.hostile_pictures", folder, str(count), str(seed)]
    subprocess.run(made, check=True)
    command = [sys.executable, "-m", "bench.malformed_images", "--written", folder]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return figures


def written_cases(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Family, name and bytes of every file that bench.hostile_pictures wrote."""
    for path in sorted(folder.iterdir()):
        _, family, name = path.name.split("~")
        yield family, name, path.read_bytes()


def measured(cases: Iterable[tuple[str, str, bytes]]) -> dict[str, Any]:
    """Decode every case, in one parent; count by family what became of it."""
    families: dict[str, Counter[str]] = defaultdict(Counter)
    slowest: dict[str, float] = defaultdict(float)
    unexplained: list[str] = []
    with Decoder() as decoder:
        for family, name, data in cases:
            started = time.perf_counter()
            outcome = decoded(decoder, data)
            families[family][outcome] += 1
            slowest[family] = max(slowest[family], time.perf_counter() - started)
            if outcome not in {"decoded", "contained"} and not any(reason in outcome for reason in EXPLAINED):
                unexplained.append(f"{family}: {name}: {outcome}")
    children_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "families": {name: dict(counts) for name, counts in families.items()},
        "slowest_s": dict(slowest),
        "pictures": sum(sum(counts.values()) for counts in families.values()),
        "unexplained": unexplained,
        "child_peak_mib": children_kib / 1024,
        "child_limit_mib": child.MEMORY_BYTES >> 20,
    }


def decoded(decoder: Decoder, data: bytes) -> str:
    try:
        decoder.decode(data)
    except ImageRefused as refusal:
        return "contained" if CONTAINED in str(refusal) else str(refusal)
    return "decoded"


def table(figures: dict[str, Any]) -> list[str]:
    """Markdown: one line a family."""
    lines = [
        "| family | pictures | decoded | refused | child died | slowest |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for family, counts in figures["families"].items():
        whole = sum(counts.values())
        good, died = counts.get("decoded", 0), counts.get("contained", 0)
        slowest = figures["slowest_s"][family]
        lines.append(f"| {family} | {whole:,} | {good:,} | {whole - good - died:,} | {died} | {slowest:.1f} s |")
    lines.append("")
    lines.append(
        f"{figures['pictures']:,} pictures; refusals without a reason: {len(figures['unexplained'])}; crashes of the "
        f"parent: 0 (it printed this); largest child: {figures['child_peak_mib']:.0f} MiB of "
        f"{figures['child_limit_mib']} MiB"
    )
    return lines


if __name__ == "__main__":
    main()
