"""docs/differential-privacy.md keeps its word: its figures are computed anew, its example runs, its audit holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unseen.dp.accounting import compose
from unseen.dp.gaussian import Gaussian
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit

PAGE = (Path(__file__).resolve().parents[3] / "docs/differential-privacy.md").read_text()
DIMENSION = 512


def rows_under(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_states_the_cosines_and_noise_that_the_code_computes() -> None:
    rows = rows_under("What one release costs")
    assert len(rows) == 11
    for row in rows:
        epsilon, privunit, gaussian, metric, noise = map(float, row)
        assert privunit == pytest.approx(PrivUnit(epsilon).expected_cosine(DIMENSION), abs=0.0006)
        assert gaussian == pytest.approx(Gaussian(epsilon).expected_cosine(DIMENSION), abs=0.0006)
        assert metric == pytest.approx(MetricVonMisesFisher(epsilon / 2).expected_cosine(DIMENSION), abs=0.0006)
        assert noise == pytest.approx(Gaussian(epsilon).deviation, abs=0.0006)


def test_the_page_states_what_composition_gains() -> None:
    assert "100\nreleases at 8 make 800; 1,000 at 0.1 make 19." in PAGE
    assert round(compose({PrivUnit(8.0).event(DIMENSION): 100}, 1e-6).epsilon) == 800
    assert round(compose({PrivUnit(0.1).event(DIMENSION): 1000}, 1e-6).epsilon) == 19


def test_in_the_published_audit_nothing_is_above_its_claim_and_half_the_noise_is_noticed() -> None:
    rows = rows_under("What an auditor finds")
    assert {row[0] for row in rows} == {"PrivUnit", "Gaussian", "metric vMF"}
    for row in rows:
        claimed = float(row[1])
        assert all(float(cell) <= claimed for cell in row[2:4] if cell != "–")
        assert row[-1] == "yes"


def test_in_the_published_tables_of_adapters_more_is_found_and_no_attack_passes_its_bound() -> None:
    rows = {row[0]: row[1:] for row in rows_under("Teaching the model privately") if len(row) > 3}
    before = [float(cell) for cell in rows["before"][1:]]
    for budget in ("1", "2", "4", "8"):
        counted_again, *found = map(float, rows[budget])
        assert counted_again <= float(budget)
        assert all(after > one for after, one in zip(found, before, strict=True))
    assert float(rows["without privacy"][0]) >= 0.7
    for epsilon in (1.0, 8.0):
        *areas, bound, shown = map(float, rows[f"at an epsilon of {epsilon:g}"])
        assert max(areas) <= bound < float(rows["without privacy"][0])
        assert shown <= epsilon


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    for block in (one for one in blocks if "Client(" not in one):  # those: tests/client/test_noise_real.py
        exec(compile(block, "docs/differential-privacy.md", "exec"), {})
    spent, left = map(float, capsys.readouterr().out.split())
    assert spent == pytest.approx(32, abs=0.001)
    assert spent + left == 64


def test_the_page_calls_weak_noise_by_its_name() -> None:
    text = " ".join(PAGE.split())
    assert "we call it **noise hardening**" in text
    for never in ("mathematically impossible", "is differentially private image search", "are anonymous"):
        assert never not in text
