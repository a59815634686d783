"""Puts findings before people: tables on the terminal, and the contact sheet. On the device only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console

from unseen_client.demo import sheet
from unseen_client.demo.findings import Answer, Findings
from unseen_client.demo.proxy import Traffic
from unseen_client.demo.tables import Call, show_bytes, show_ranks, show_sightings, size
from unseen_client.report import Hit

SHEET_PICTURE_PX = 400


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
        "The demo speaks without TLS, so that the witness reads what the server reads.\n"
        "The server of a sealed index does receive the enrolled vectors, as int16: it keeps them sealed on disk and in"
        " the clear in memory, where it scores them.\n"
        "Also seen by the server: who asked, when, how many bytes, how many rows, the collection's name, and sizes of"
        " sealed records in steps of 256 bytes.\nNot seen by the server: the query, the scores, which rows were hits.\n"
    )
    console.print(
        f"[bold]Agreement with plaintext search[/bold] (float32, the same vectors): {findings.overlap:.1%} of the best"
        f" 10 are the same; scores differ by {findings.deviation_of(pictures=True):.4f} (standard deviation; words:"
        f" {findings.deviation_of(pictures=False):.4f}), at most {findings.largest_difference:.4f}"
    )


def draw_sheet(path: Path, findings: Findings) -> None:
    """The contact sheet as PNG."""
    answers, report = findings.answers, findings.report
    pictures = sum(answer.picture is not None for answer in answers)
    subtitle = (
        f"{report.enrolled} photographs, {pictures} picture and {len(answers) - pictures} word queries, answered by a"
        f" server that saw neither. Median place of the right answers: {findings.median_rank:g}"
    )
    covered = [sheet.Covered(jpeg, f"face: {score:.0%} sure") for score, jpeg in sorted(findings.covered, reverse=True)]
    sheet.draw(path, "Unseen", subtitle, covered, [_row(answer) for answer in answers], _facts(findings))


def picture_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A covered picture (height, width, 3) as a JPEG for the sheet."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SHEET_PICTURE_PX, SHEET_PICTURE_PX))
    buffer = BytesIO()
    picture.save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def _facts(findings: Findings) -> list[sheet.Facts]:
    """The short form of the tables, for the sheet."""
    seen = tuple((s.kind, f"{s.received:,} of {s.pieces:,} pieces") for s in findings.sightings)
    queries = _medians(findings.answers)
    costs = tuple((call.name, f"{size(call.traffic.up)} up, {size(call.traffic.down)} down") for call in queries)
    agreement = (
        ("same best ten, by share", f"{findings.overlap:.1%}"),
        ("score error, picture queries (standard deviation)", f"{findings.deviation_of(pictures=True):.4f}"),
        ("score error, word queries (standard deviation)", f"{findings.deviation_of(pictures=False):.4f}"),
        ("score error, largest", f"{findings.largest_difference:.4f}"),
    )
    return [
        sheet.Facts("What reached the server in the clear", seen),
        sheet.Facts("What a search cost", costs),
        sheet.Facts("Agreement with plaintext search", agreement),
    ]


def _row(answer: Answer) -> sheet.Row:
    hits = tuple(_shown(hit, answer) for hit in answer.hits[: sheet.HITS_SHOWN])
    return sheet.Row(answer.query.text or answer.query.how, answer.picture, answer.rank, hits, answer.covered)


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
