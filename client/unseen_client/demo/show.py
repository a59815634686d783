"""Puts findings before people: tables on the terminal, and the contact sheet. On the device only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from unseen_client.demo import sheet
from unseen_client.demo.findings import Answer, Findings
from unseen_client.demo.proxy import Traffic
from unseen_client.demo.tables import Call, show_bytes, show_ranks, show_sightings, size
from unseen_client.report import Hit


def show(console: Console, findings: Findings, received_bytes: int, kept_bytes: int) -> None:
    """Every table, in the order in which things happened."""
    show_ranks(console, [_rank_row(answer) for answer in findings.answers])
    console.print(
        f"median place of the right answers: [bold]{findings.median_rank:g}[/bold] of {findings.report.enrolled}\n"
    )
    show_bytes(console, [*findings.calls, *_medians(findings.answers)])
    searched = f"searched: {received_bytes:,} bytes received, also frame by frame and field by field; "
    searched += f"{kept_bytes:,} bytes of the server's files and log"
    show_sightings(console, findings.sightings, searched)
    console.print(
        "also seen by the server: who asked, when, how many bytes, how many rows, the collection's name, and sizes of"
        " sealed records in steps of 256 bytes.\nnot seen by the server: the query, the scores, which rows were hits.\n"
    )
    console.print(
        f"[bold]Agreement with plaintext search[/bold] (float32, the same vectors): {findings.overlap:.1%} of the best"
        f" 10 are the same; scores differ by {findings.deviation:.4f} (standard deviation), at most"
        f" {findings.largest_difference:.4f}"
    )


def draw_sheet(path: Path, findings: Findings) -> None:
    """The contact sheet as PNG."""
    answers, report = findings.answers, findings.report
    pictures = sum(answer.picture is not None for answer in answers)
    subtitle = (
        f"{report.enrolled} photographs, {pictures} picture and {len(answers) - pictures} word queries, answered by a"
        f" server that saw neither. Median place of the right answers: {findings.median_rank:g}"
    )
    sheet.draw(path, "Unseen", subtitle, list(findings.faces.values()), [_row(a) for a in answers], _facts(findings))


def _facts(findings: Findings) -> list[sheet.Facts]:
    """The short form of the tables, for the sheet."""
    seen = tuple((s.kind, f"{s.received:,} of {s.pieces:,} pieces") for s in findings.sightings)
    queries = _medians(findings.answers)
    costs = tuple((call.name, f"{size(call.traffic.up)} up, {size(call.traffic.down)} down") for call in queries)
    agreement = (
        ("same best ten, by share", f"{findings.overlap:.1%}"),
        ("score error, standard deviation", f"{findings.deviation:.4f}"),
        ("score error, largest", f"{findings.largest_difference:.4f}"),
    )
    return [
        sheet.Facts("What reached the server in the clear", seen),
        sheet.Facts("What a search cost", costs),
        sheet.Facts("Agreement with plaintext search", agreement),
    ]


def _row(answer: Answer) -> sheet.Row:
    hits = tuple(_shown(hit, answer) for hit in answer.hits[: sheet.HITS_SHOWN])
    return sheet.Row(answer.query.text or answer.query.how, answer.picture, answer.rank, hits)


def _shown(hit: Hit, answer: Answer) -> sheet.Shown:
    return sheet.Shown(hit.id, hit.score, hit.record.thumbnail, hit.id in answer.query.expected)


def _rank_row(answer: Answer) -> tuple[str, str, str, int]:
    best = f"{answer.hits[0].id} ({answer.hits[0].score:+.3f})" if answer.hits else "nothing"
    return answer.query.label, " or ".join(answer.query.expected), best, answer.rank


def _medians(answers: Sequence[Answer]) -> list[Call]:
    """One line for all picture queries, one for all word queries."""
    kinds = {
        "one picture query": [answer.call for answer in answers if answer.picture is not None],
        "one word query": [answer.call for answer in answers if answer.picture is None],
    }
    return [_median(f"{name} (median of {len(calls)})", calls) for name, calls in kinds.items() if calls]


def _median(name: str, calls: Sequence[Call]) -> Call:
    up, down = (
        statistics.median_low(way) for way in zip(*((c.traffic.up, c.traffic.down) for c in calls), strict=True)
    )
    return Call(name, Traffic(up, down), statistics.median(call.seconds for call in calls))
