"""docs/operations.md says what is there: every metric, every log field, every option of the unit, every command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from unseen.audit.leaf import Details, Leaf, leaf_fields
from unseen.errors import UnseenError
from unseen.wire import error_from
from unseen_client.cli.app import app
from unseen_server.config import from_arguments
from unseen_server.operations.log_lines import FIELDS
from unseen_server.operations.metrics import Metrics
from unseen_server.operations.watched import watch

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs/operations.md").read_text()


def section(page: str, heading: str) -> str:
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def shown_metrics() -> set[str]:
    """Every metric of ours, by the names that Prometheus sees."""
    metrics = Metrics("1")
    nothing: Any = None
    watch(metrics, nothing, nothing, nothing, nothing)
    names = {f"{one.name}_total" if one.type == "counter" else one.name for one in described(metrics)}
    return {name for name in names if name.startswith("unseen_")}


def described(metrics: Metrics) -> list[Any]:
    """What the registry describes; the numbers are not looked at."""
    collectors: Any = metrics.registry._collector_to_names
    return [one for collector in collectors for one in getattr(collector, "describe", list)()]


def test_every_metric_stands_on_the_page_and_no_other(page: str) -> None:
    table = [line for line in section(page, "What to watch").splitlines() if line.startswith("| `")]
    named = {name for line in table for name in re.findall(r"`(unseen_\w+)", line.split("|")[1])}
    assert named == shown_metrics()


def test_alerts_ask_for_metrics_and_codes_that_there_are(page: str) -> None:
    text = section(page, "What to watch")
    asked = set(re.findall(r"\b(unseen_[a-z_]+)\b", text.split("Alerts:")[1]))
    assert {name.removesuffix("_bucket") for name in asked} <= shown_metrics()
    codes = {code for group in re.findall(r'code=~"([A-Z_|]+)"', text) for code in group.split("|")}
    assert len(codes) >= 8
    for code in codes:
        assert code == UnseenError.code or type(error_from(code, "")) is not UnseenError, code


def test_every_log_field_stands_on_the_page_and_no_other(page: str) -> None:
    rows = [line.split("|")[1] for line in section(page, "Log lines").splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(FIELDS)


def test_the_unit_starts_a_server_that_takes_its_options(page: str, tmp_path: Path) -> None:
    unit = re.search(r"ExecStart=(.*?)\n[A-Z]", page, re.DOTALL)
    assert unit is not None
    python, *rest = shlex.split(unit[1].replace("\\\n", " "))
    assert rest[:3] == ["-P", "-m", "unseen_server"]
    assert python.startswith("/opt/unseen/bin/")
    for name in ("server.pem", "server.key", "clients.pem"):
        (tmp_path / name).write_text("")
    options = [option.replace("/etc/unseen", str(tmp_path)) for option in rest[3:]]
    config = from_arguments(options)
    assert (config.host, config.port, config.metrics) == ("0.0.0.0", 7443, ("127.0.0.1", 9464))


def test_every_command_on_the_page_is_there(page: str) -> None:
    import typer.main

    group: Any = typer.main.get_command(app)
    for first, second in set(re.findall(r"(?:`|\$ )unseen ([a-z-]+)(?: ([a-z]+))?", page)):
        if first == "server":  # what the server says when it listens
            continue
        assert first in group.commands, first
        inner = getattr(group.commands[first], "commands", None)
        if inner is not None and second:
            assert second in inner, (first, second)


def test_every_field_of_a_leaf_stands_in_the_formats() -> None:
    table = section((ROOT / "docs/formats.md").read_text(), "Audit log")
    details = Details(bytes(16), bytes(16), "1", "care", bytes(16), bytes(32), 1, 1, 1, "x")
    said = leaf_fields(Leaf("Search", "me", 0, "OK", details, "clinic").to_bytes(bytes(16)))
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(said)


def test_every_line_of_the_law_has_a_test(page: str) -> None:
    compliance = (ROOT / "docs/compliance.md").read_text()
    for heading, lines in (("HIPAA Security Rule, technical safeguards (45 CFR 164.312)", 12), ("GDPR", 8)):
        rows = [line for line in section(compliance, heading).splitlines() if line.startswith("| ")]
        rows = [row for row in rows if not row.startswith(("| ---", "| line", "| what it asks"))]
        assert len(rows) >= lines
        for row in rows:
            assert re.search(r"`tests/[\w/]+\.py::\w+`", row), row
    for line in ("(a)(1)", "(a)(2)(i)", "(a)(2)(ii)", "(a)(2)(iii)", "(a)(2)(iv)", "(b)", "(c)(1)", "(c)(2)", "(d)",
                 "(e)(1)", "(e)(2)(i)", "(e)(2)(ii)"):  # fmt: skip
        assert f"| {line} " in compliance, line
    for article in ("Article 17", "Article 25", "Article 30", "Article 32"):
        assert f"### {article}" in compliance
