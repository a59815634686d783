"""Sides of a comparison that take turns, query by query: whose turn it is, and what became of it."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.measure import percentile, print_table


def in_turn(sides: Mapping[str, object], round_number: int) -> list[str]:
    """The sides, each round beginning with another one: who comes first finds other caches than who comes last."""
    names = list(sides)
    start = round_number % len(names)
    return names[start:] + names[:start]


def ratios(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Each side's median against the first one's."""
    base = statistics.median(next(iter(seconds.values())))
    return {name: statistics.median(values) / base for name, values in seconds.items()}


def spread_ms(seconds: list[float]) -> dict[str, float]:
    return {"p50": 1000 * statistics.median(seconds), "p95": 1000 * percentile(seconds, 95)}


def show(title: str, figures: Mapping[str, Any]) -> None:
    """A table for people: a line for each side."""
    rows = [
        (
            name,
            f"{figures['search_ms'][name]['p50']:.1f} / {figures['search_ms'][name]['p95']:.1f}",
            f"{figures['server_part_ms'][name]['p50']:.1f}",
            f"{figures['search_ratio'][name]:.3f}",
            f"{figures['enrol_rows_per_s'][name]:,.0f}",
            f"{figures['enrol_ratio'][name]:.3f}",
        )
        for name in figures["search_ms"]
    ]
    print_table(title, rows, ("", "p50 / p95 ms", "server ms", "ratio", "rows/s enrolled", "time ratio"))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """What such a bench is asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", type=Path)
    return parser
