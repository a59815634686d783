"""The tables of bench/README.md, written from the JSON files of one `make evidence`.

    python -m bench.figures bench-out

Prints Markdown; whoever runs the benches pastes it. Files that are not there are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
SIZES = (("1k", "1 000"), ("10k", "10 000"), ("100k", "100 000"), ("1m", "1 000 000"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where `make evidence` left its JSON files")
    folder: Path = parser.parse_args().folder
    for lines in (scan_table(folder), search_table(folder), accuracy_table(folder)):
        print("\n".join(lines), end="\n\n")


def read(folder: Path, name: str) -> Figures | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [list(header), *[list(row) for row in rows]]
    lines.insert(1, ["---"] * len(lines[0]))
    return [f"| {' | '.join(line)} |" for line in lines]


def scan_table(folder: Path) -> list[str]:
    """Nanoseconds per row of 512, 100,000 rows, on one thread and on two."""
    names = (
        ("the bare kernel", "kernel_ns_per_row"),
        ("the whole scan, masks made ahead", "scan_masks_ahead_ns_per_row"),
        ("the whole scan, masks made inside", "scan_ns_per_row"),
        ("numpy float32 `matrix @ vector`", "numpy_ns_per_row"),
        ("faiss-cpu `IndexFlatIP`", "faiss_ns_per_row"),
        ("the TenSEAL tutorial", "tenseal_ns_per_row"),
    )
    runs = {"one thread": read(folder, "scan"), "two threads": read(folder, "scan-2-threads")}
    found = {title: run for title, run in runs.items() if run}
    header = ["nanoseconds per row", *(cell for title in found for cell in (title, "against numpy"))]
    rows = [
        [
            name,
            *(
                cell
                for run in found.values()
                for cell in (f"{run[key]:,.0f}", ratio(run[key], run["numpy_ns_per_row"]))
            ),
        ]
        for name, key in names
    ]
    return table(header, rows)


def ratio(value: float, base: float) -> str:
    return f"{value / base:,.2f}" if value < 100 * base else f"{value / base:,.0f}"


def search_table(folder: Path) -> list[str]:
    """One search through gRPC, client and server on one machine."""
    found = {title: run for name, title in SIZES if (run := read(folder, f"search-{name}"))}
    names = (
        ("p50 / p95", lambda f: f"{f['p50_ms']:.0f} / {f['p95_ms']:.0f} ms"),
        ("encrypt, upload", lambda f: f"{f['split_p50_ms']['encrypt']:.1f}, {f['split_p50_ms']['upload']:.1f} ms"),
        ("wait for the scan and download", lambda f: f"{f['split_p50_ms']['wait']:.1f} ms"),
        ("decrypt, rank", lambda f: f"{f['split_p50_ms']['decrypt']:.1f}, {f['split_p50_ms']['rank']:.1f} ms"),
        ("key material made ahead", lambda f: f"{f['split_p50_ms']['prepare_ahead']:.0f} ms"),
        ("plaintext search over the same gRPC shape", lambda f: f"{f['plaintext_p50_ms']:.0f} ms"),
        ("against it", lambda f: f"{f['ratio_to_plaintext']:.1f}"),
        ("200 searches back to back from empty pools, each", lambda f: f"{f['sustained']['ms_per_query']:.0f} ms"),
        ("bytes up", lambda f: f"{f['bytes_up']:,}"),
        ("bytes down", lambda f: f"{f['bytes_down']:,}"),
        ("server's memory / client's", lambda f: f"{mb(f['server_rss_bytes'])} / {mb(f['client_rss_bytes'])} MB"),
        ("enrolling, rows per second", lambda f: f"{f['enrol_rows_per_s']:,.0f}"),
        ("adding / erasing one row, until acknowledged", added_and_erased),
        ("restart until it answers", lambda f: f"{f['restart_s']:.1f} s"),
    )
    rows = [[name, *(show(run) for run in found.values())] for name, show in names]
    return table(["rows", *found], rows)


def added_and_erased(figures: Figures) -> str:
    return f"{figures['add_one_row_p50_ms']:.0f} / {figures['erase_one_row_p50_ms']:.0f} ms"


def mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.0f}"


def accuracy_table(folder: Path) -> list[str]:
    """Error and recall against float32, for every parameter set."""
    figures = read(folder, "accuracy") or {}
    sets = {name: runs for name, runs in figures.items() if name.startswith("n2048")}
    rows = [
        [
            f"`{name}`",
            f"{run['queries']} {kind}, {run['rows']:,} rows",
            f"{run['error_std']:.5f}",
            f"{run['expected_error_std']:.5f}",
            *(f"{run[f'recall_at_{k}']:.3f}" for k in (1, 10, 100)),
        ]
        for name, runs in sets.items()
        for kind, run in runs.items()
    ]
    return table(["parameter set", "queries", "error", "by the formula", "R@1", "R@10", "R@100"], rows)


if __name__ == "__main__":
    main()
