"""docs/compliance.md keeps its word: every line of the law has a feature, and every feature a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from unseen_client.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/compliance.md").read_text()
HIPAA = (
    "(a)(1)", "(a)(2)(i)", "(a)(2)(ii)", "(a)(2)(iii)", "(a)(2)(iv)", "(b)", "(c)(1)", "(c)(2)", "(d)", "(e)(1)",
    "(e)(2)(i)", "(e)(2)(ii)",
)  # fmt: skip
"""Every standard and specification of 45 CFR 164.312."""
GDPR = ("Article 17", "Article 25", "Article 30", "Article 32")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


class Line(NamedTuple):
    """One row of a table of the page."""

    section: str
    asked: str
    feature: str
    shown_by: str


def lines_of(page: str) -> list[Line]:
    """Every row of every table, headers left out."""
    found, section = [], ""
    for line in page.splitlines():
        if line.startswith("#"):
            section = line.strip("# ")
        elif line.startswith("| ") and not line.startswith(("| ---", "| line |", "| what it asks |")):
            asked, feature, shown_by, _ = (cell.strip() for cell in line.strip("|").split("|"))
            found.append(Line(section, asked, feature, shown_by))
    return found


@cache
def promises_in(path: Path) -> frozenset[str]:
    """The tests that pytest finds in a file: functions, and methods of classes, that are named so."""
    names = {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return frozenset(name for name in names if name.startswith("test_"))


def problems(page: str) -> list[str]:
    """What is promised and not shown: a line without a feature, a clause without a test, a test that there is not."""
    found = []
    for line in lines_of(page):
        named = NAMED.findall(line.shown_by)
        clauses = [clause for clause in line.feature.split(";") if clause.strip()]
        if not clauses:
            found.append(f"{line.asked}: no feature")
        if len(named) < len(clauses):
            found.append(f"{line.asked}: {len(clauses)} clauses and {len(named)} tests")
        found += [
            f"{line.asked}: there is no {path}::{test}"
            for path, test in named
            if not (ROOT / path).exists() or test not in promises_in(ROOT / path)
        ]
    return found


def test_every_clause_has_a_test_that_exists() -> None:
    assert problems(PAGE) == []


@pytest.mark.parametrize("line", lines_of(PAGE), ids=lambda line: f"{line.section[:10]} {line.asked[:20]}")
def test_a_test_that_is_renamed_a_file_that_moves_and_a_promise_without_one_are_noticed(line: Line) -> None:
    path, test = NAMED.findall(line.shown_by)[0]
    row = f"| {line.asked} | {line.feature} | {line.shown_by} |"
    assert row in PAGE
    assert problems(row.replace(test, f"{test}_once") + " |")
    assert problems(row.replace(path, "tests/test_elsewhere.py") + " |")
    assert problems(f"| {line.asked} | {line.feature} |  | |")
    assert problems(f"| {line.asked} | {line.feature}; and more;{'more;' * 9} | {line.shown_by} | |")


def test_every_line_of_the_law_is_there_once() -> None:
    hipaa = [line.asked for line in lines_of(PAGE) if line.section.startswith("HIPAA")]
    assert [asked.split(" ")[0] for asked in hipaa] == list(HIPAA)
    assert [line.section.split(",")[0] for line in lines_of(PAGE) if line.section.startswith("Article")] == sorted(
        line.section.split(",")[0] for line in lines_of(PAGE) if line.section.startswith("Article")
    )
    assert {line.section.split(",")[0] for line in lines_of(PAGE)} >= set(GDPR)


def test_every_command_that_is_named_is_there() -> None:
    group = typer.main.get_command(app)
    named = re.findall(r"`unseen ([a-z-]+)", PAGE)
    assert named
    assert [name for name in named if name not in group.commands] == []  # type: ignore[attr-defined]
