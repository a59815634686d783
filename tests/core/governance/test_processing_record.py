"""The record of processing says what the policies say, and a policy cannot break out of it."""

from __future__ import annotations

from typing import Any

from tests.core.governance.written import NOON, policy, terms
from unseen.governance.processing_record import Activity, record_as_markdown, record_of_processing


def test_the_record_has_what_article_30_asks_for() -> None:
    record: dict[str, Any] = record_of_processing((Activity("scans", policy(), 12),), NOON)
    assert record["made_at"] == "2026-01-01T12:00:00Z"
    (entry,) = record["activities"]
    for name in (
        "controller",
        "contact",
        "purposes",
        "data_subjects",
        "data_categories",
        "recipients",
        "transfers",
        "retention_days",
        "security_measures",
        "lawful_basis",
    ):
        assert entry[name] == terms()[name]
    assert (entry["collection"], entry["rows"], entry["policy_version"]) == ("scans", 12, 1)


def test_the_markdown_names_every_letter_and_every_value() -> None:
    text = record_as_markdown((Activity("scans", policy(), 12),), NOON)
    for expected in (
        "(a)",
        "(b)",
        "(c)",
        "(d)",
        "(e)",
        "(f)",
        "(g)",
        "Example Hospital",
        "365 d",
        "version 1",
        "| 12 |",
    ):
        assert expected in text
    assert "No collection has an agreement" in record_as_markdown((), NOON)


def test_what_a_policy_says_stays_in_its_cell() -> None:
    hostile = policy(recipients=["a | b \\| <script>"])
    text = record_as_markdown((Activity("scans", hostile, 1),), NOON)
    line = next(line for line in text.splitlines() if "recipients" in line)
    assert line == "| (d) recipients | a \\| b \\\\\\| &lt;script> |"
