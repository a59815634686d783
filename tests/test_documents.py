"""The documents keep their word: numbers are computed anew, and whatever test, bench or file they name exists."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest

from unseen.he.message import query_bytes, reply_block_bytes
from unseen.he.owner import message as owner_message
from unseen.he.owner import noise as owner_noise
from unseen.he.packing import Packing, choose_factor
from unseen.params import N2048_Q29, N2048_Q29_FINE, N2048_Q31_OWNER, PUBLISHED, ParameterSet

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")])
DIMENSION = 512


def rows_of_table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its two header lines."""
    section = text.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture(scope="module")
def parameters_page() -> str:
    return (ROOT / "docs/parameters.md").read_text()


# ---- docs/parameters.md ---------------------------------------------------------------------------------------------


def test_the_page_states_every_number_of_both_sets(parameters_page: str) -> None:
    table = {row[0].split("`")[0]: row[1:3] for row in rows_of_table(parameters_page, "The two sets")}
    for column, parameters in enumerate((N2048_Q29, N2048_Q29_FINE)):
        assert table["id"][column] == parameters.id
        for name in ("ring_degree", "modulus", "plain_modulus", "row_scale", "query_range", "row_norm_slack"):
            assert float(table[name][column]) == getattr(parameters, name)
        for name in ("query_drop_bits", "reply_c0_bits", "reply_c1_bits", "mask_bound", "error_coins"):
            assert int(table[name][column]) == getattr(parameters, name)
        assert int(table["flood_std"][column]) == round(parameters.flood_std)


def score_errors(parameters: ParameterSet, factor: int) -> dict[str, float]:
    """Standard deviations in cosine of what stands between an encrypted score and the true one."""
    q, n = parameters.modulus, parameters.ring_degree
    cosine_one = q / parameters.plain_modulus * parameters.query_scale * parameters.row_scale
    error = math.sqrt(parameters.error_coins / 2)
    c0 = q / 2**parameters.reply_c0_bits / math.sqrt(12)
    c1 = q / 2**parameters.reply_c1_bits / math.sqrt(12) * math.sqrt(2 * n / 3)
    return {
        "rounding of rows": 1 / parameters.row_scale / math.sqrt(12),
        "flood": parameters.flood_std / cosine_one,
        "mask": error * math.sqrt(n) * 2 * parameters.mask_bound / math.sqrt(12) / cosine_one,
        "the query": query_noise(parameters, factor) / cosine_one,
        "reply rounding": math.hypot(c0, c1) / cosine_one,
    }


def query_noise(parameters: ParameterSet, factor: int) -> float:
    """What the flood has to hide: a query's errors times the rows of a block, in units of Z_q."""
    rounding = 2**parameters.query_drop_bits / math.sqrt(12)
    error = math.hypot(math.sqrt(parameters.error_coins / 2), rounding)
    return error * parameters.row_scale * math.sqrt(parameters.ring_degree / factor)


def test_the_page_states_the_score_errors_that_the_formulas_give(parameters_page: str) -> None:
    table = {row[0]: row[2:4] for row in rows_of_table(parameters_page, "The score error")}
    for column, parameters in enumerate((N2048_Q29, N2048_Q29_FINE)):
        errors = score_errors(parameters, factor=4)
        for source, expected in errors.items():
            stated = next(cells[column] for name, cells in table.items() if name.startswith(source))
            assert float(stated) == round(expected, 5), source
        assert float(table["together"][column]) == round(math.hypot(*errors.values()), 5)


def test_the_page_states_what_the_flood_does_not_hide(parameters_page: str) -> None:
    for row in rows_of_table(parameters_page, "What the flood hides, and what it does not"):
        factor = int(row[0])
        assert int(row[1]) == N2048_Q29.ring_degree // factor
        for cell, parameters in zip(row[3:5], (N2048_Q29, N2048_Q29_FINE), strict=True):
            ratio = query_noise(parameters, factor) / parameters.flood_std
            bits = parameters.ring_degree / factor / 2 * math.log2(1 + ratio**2)
            assert float(cell.split()[0]) == pytest.approx(bits, rel=0.12, abs=0.05)


def test_the_page_states_the_most_a_cheating_query_can_read(parameters_page: str) -> None:
    most = {
        p.name: math.log2(p.modulus / (p.flood_std * math.sqrt(2 * math.pi * math.e)))
        for p in (N2048_Q29, N2048_Q29_FINE)
    }
    assert f"{most['n2048_q29']:.1f} bits with the default set" in parameters_page.replace("\n", " ")
    assert f"{most['n2048_q29_fine']:.1f} with the fine one" in parameters_page.replace("\n", " ")


def test_the_page_states_the_bytes_that_the_code_computes(parameters_page: str) -> None:
    for row in rows_of_table(parameters_page, "Bytes of a query, d = 512"):
        slots, factor, up, down, together, fine = (int(cell.replace(" ", "")) for cell in row)
        assert factor == choose_factor(N2048_Q29, DIMENSION, slots)
        packing = Packing(N2048_Q29.ring_degree, DIMENSION, factor)
        assert up == query_bytes(N2048_Q29, packing)
        assert down == packing.blocks(slots) * reply_block_bytes(N2048_Q29, packing)
        assert together == up + down
        fine_packing = Packing(2048, DIMENSION, choose_factor(N2048_Q29_FINE, DIMENSION, slots))
        fine_down = fine_packing.blocks(slots) * reply_block_bytes(N2048_Q29_FINE, fine_packing)
        assert fine == query_bytes(N2048_Q29_FINE, fine_packing) + fine_down


def test_every_published_set_stands_on_the_page(parameters_page: str) -> None:
    assert [parameters.name for parameters in PUBLISHED if f"`{parameters.id}`" not in parameters_page] == []


# ---- docs/parameters.md, the owner-encrypted set ---------------------------------------------------------------------


def owner_table(text: str, heading: str) -> list[list[str]]:
    return rows_of_table(text.replace("\n### ", "\n## "), heading)


def test_the_page_states_every_number_of_the_owner_encrypted_set(parameters_page: str) -> None:
    table = {row[0].split("`")[0]: row[1] for row in owner_table(parameters_page, "The owner-encrypted set")}
    assert table["id"] == N2048_Q31_OWNER.id
    for name in ("moduli", "roots"):
        assert tuple(int(part) for part in table[name].split(",")) == getattr(N2048_Q31_OWNER, name)
    numbers = ("ring_degree", "row_scale", "query_range", "row_norm_slack", "error_coins")
    for name in (*numbers, "reply_c0_bits", "reply_c1_bits", "reply_c2_bits"):
        assert float(table[name]) == getattr(N2048_Q31_OWNER, name)
    assert f"q = {N2048_Q31_OWNER.modulus}" in parameters_page
    assert f"B = {N2048_Q31_OWNER.query_scale:.1f}" in parameters_page


def owner_errors(factor: int) -> dict[str, float]:
    """Standard deviations in cosine, worked out from the formulas beside them."""
    p, n = N2048_Q31_OWNER, N2048_Q31_OWNER.ring_degree
    one, error = p.query_range * p.modulus / 2, math.sqrt(p.error_coins / 2)
    c0, c1, c2 = (p.modulus / 2**bits / math.sqrt(12) for bits in (p.reply_c0_bits, p.reply_c1_bits, p.reply_c2_bits))
    return {
        "rounding": math.hypot(1 / p.row_scale, 1 / p.query_scale) / math.sqrt(12),
        "the rows' errors": error * p.query_scale / one,
        "the query's errors": error * p.row_scale * math.sqrt(n / factor) / one,
        "errors times errors": error**2 * math.sqrt(n * DIMENSION / factor) / one,
        "reply rounding": math.hypot(c0, c1 * math.sqrt(2 * n / 3), c2 * math.sqrt(2) * 2 * n / 3) / one,
    }


def test_the_page_states_the_score_errors_of_the_owner_encrypted_set(parameters_page: str) -> None:
    table = {row[0]: row[2:] for row in owner_table(parameters_page, "The score error of the owner-encrypted set")}
    for column, factor in enumerate((1, 4, 8, 16)):
        errors = owner_errors(factor)
        for source, expected in errors.items():
            stated = next(cells[column] for name, cells in table.items() if name.startswith(source))
            assert float(stated) == round(expected, 5), source
        together = math.hypot(*errors.values())
        assert float(table["together"][column]) == round(together, 5)
        packing = Packing(N2048_Q31_OWNER.ring_degree, DIMENSION, factor)
        assert owner_noise.score_error_std(N2048_Q31_OWNER, packing) == pytest.approx(together, rel=1e-9)


def test_the_page_states_what_additions_cost_and_how_sure_scores_are(parameters_page: str) -> None:
    side, text = Packing(N2048_Q31_OWNER.ring_degree, DIMENSION, DIMENSION), parameters_page.replace("\n", " ")
    two, three = (owner_noise.score_error_std(N2048_Q31_OWNER, side, additions, 64) for additions in (2, 3))
    assert (
        f"has an error of {two:.5f} under a query that was packed at k = 8; with three it would be {three:.5f}" in text
    )
    for factor, bound in ((1, 390), (8, 740)):
        packing = Packing(N2048_Q31_OWNER.ring_degree, DIMENSION, factor)
        assert owner_noise.wrap_probability_log2(N2048_Q31_OWNER, packing) < -bound
        assert f"2^-{bound} at k = {factor}" in text


def test_the_page_states_the_bytes_of_an_owner_encrypted_query(parameters_page: str) -> None:
    for row in owner_table(parameters_page, "Bytes of an owner-encrypted query, d = 512"):
        slots, factor, up, down, together = (int(cell.replace(" ", "")) for cell in row)
        assert factor == owner_message.choose_factor(N2048_Q31_OWNER, DIMENSION, slots)
        packing = Packing(N2048_Q31_OWNER.ring_degree, DIMENSION, factor)
        assert up == owner_message.ciphertexts_bytes(N2048_Q31_OWNER, packing)
        assert down == packing.blocks(slots) * owner_message.reply_block_bytes(N2048_Q31_OWNER, packing)
        assert together == up + down


# ---- names that documents use ---------------------------------------------------------------------------------------


def functions_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def missing_paths(text: str) -> list[str]:
    folders = "tests|bench|docs|core|client|server|examples|proto|requirements|constraints"
    names = re.findall(rf"(?<![\w/.])((?:{folders})/[\w./-]*\w)", text)
    modules = [module.replace(".", "/") for module in re.findall(r"python -m (bench\.\w+)", text)]
    names += [f"{module}/__main__.py" if (ROOT / module).is_dir() else f"{module}.py" for module in modules]
    return [name for name in names if not (ROOT / name).exists()]


def missing_tests(text: str) -> list[str]:
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    present = [(ROOT / name, function) for name, function in named if (ROOT / name).exists()]
    return [f"{path.name}::{function}" for path, function in present if function not in functions_in(path)]


def broken_links(document: Path, text: str) -> list[str]:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    return [target for target in targets if not (document.parent / target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_test_and_bench_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    assert missing_paths(text) + missing_tests(text) + broken_links(document, text) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_waits_for_a_figure(document: Path) -> None:
    assert (
        re.findall(
            r"FIGURE-\w+|PROMISE-\w+|TABLE-\w+|\w+_TABLE|\bCOST\b|\bMINUTES\b|TODO|TBD|to be measured",
            document.read_text(),
        )
        == []
    )


def test_every_bench_stands_in_the_bench_readme() -> None:
    text = (ROOT / "bench/README.md").read_text()
    benches = [
        path.stem for path in (ROOT / "bench").glob("*.py") if f"python -m bench.{path.stem}" in path.read_text()
    ] + [path.parent.name for path in (ROOT / "bench").glob("*/__main__.py")]
    assert [name for name in benches if f"bench.{name}" not in text] == []


def test_every_document_ends_with_its_last_line() -> None:
    assert [path.name for path in DOCUMENTS if not path.read_bytes().endswith(b"\n")] == []
