"""Each promise of the demo that does not hold is named as a fault; a run in which all hold has none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from unseen_client.demo.compare import Agreement
from unseen_client.demo.findings import Answer, Findings
from unseen_client.demo.material import Query
from unseen_client.demo.proxy import Traffic
from unseen_client.demo.secrets import CAPTIONS, ENROLLED_INT16
from unseen_client.demo.show import draw_sheet
from unseen_client.demo.tables import Call, Sighting, show_ranks, show_sightings
from unseen_client.records import Record
from unseen_client.report import EnrolReport, Hit, Refusal

GOOD = Agreement(overlap=1.0, largest_difference=0.004, deviation=0.0018)
CALL = Call("a query", Traffic(20_000, 21_000), 0.1)


@pytest.fixture
def findings() -> Findings:
    hits = [Hit(row, 0.5, Record(id=row)) for row in ("b", "a")]
    return Findings(
        fixed_answers=True,
        report=EnrolReport(("a", "b"), (), (), 1),
        answers=[Answer(Query(("a",), text="a word"), hits, 2, GOOD, CALL, None)],
        sightings=[
            Sighting(CAPTIONS, pieces=2, received=0, kept=0, forbidden=True),
            Sighting(ENROLLED_INT16, pieces=8, received=8, kept=0, forbidden=False),
        ],
    )


def test_a_good_run_has_no_faults(findings: Findings) -> None:
    assert findings.faults() == []


def test_a_leak_is_a_fault(findings: Findings) -> None:
    findings.sightings[0] = replace(findings.sightings[0], received=1)
    assert findings.faults() == ["captions: leaked"]


def test_rows_in_the_clear_on_disk_are_a_fault(findings: Findings) -> None:
    findings.sightings[1] = replace(findings.sightings[1], kept=1)
    assert findings.faults() == ["enrolled vectors, int16: leaked"]


def test_a_blind_search_is_a_fault(findings: Findings) -> None:
    findings.sightings[1] = replace(findings.sightings[1], received=7)
    assert "blind" in findings.faults()[0]
    del findings.sightings[1]
    assert "blind" in findings.faults()[0]


def test_a_score_unlike_plaintext_is_a_fault(findings: Findings) -> None:
    findings.answers.append(replace(findings.answers[0], agreement=replace(GOOD, largest_difference=0.5)))
    assert findings.faults() == ["a score differs from plaintext by 0.5000"]


def test_right_answers_too_far_down_are_a_fault_where_answers_were_fixed(findings: Findings) -> None:
    findings.answers = [replace(findings.answers[0], rank=4)]
    assert "median place" in findings.faults()[0]
    findings.fixed_answers = False
    assert findings.faults() == []


def test_a_refused_photograph_of_the_demos_own_is_a_fault(findings: Findings) -> None:
    findings.report = replace(findings.report, refused=(Refusal("x.jpg", "IMAGE_REFUSED", "why"),))
    assert "refused" in findings.faults()[0]


def test_results_and_sheet_are_written_even_when_pictures_are_missing(findings: Findings, tmp_path: Path) -> None:
    long = Query(("nowhere",), text="words that are so many that they need several lines of the sheet")
    findings.answers += [
        replace(findings.answers[0], query=long, rank=3),
        replace(findings.answers[0], hits=[], picture=b"", covered=1),
    ]
    findings.write(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["median_rank"] == 2
    draw_sheet(tmp_path / "sheet.png", findings)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 1960


def test_brackets_in_names_of_files_are_shown_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=200)
    show_ranks(console, [("[/b]", "[red]roe[/red]", ":smile:", 1)])
    leak = Sighting(CAPTIONS, pieces=2, received=1, kept=0, forbidden=True, examples=("[/b] at 7",))
    show_sightings(console, [leak], "everything")
    shown = capsys.readouterr().out
    for one in ("[/b]", "[red]roe[/red]", ":smile:", "[/b] at 7"):
        assert one in shown
