"""docs/protocol.md keeps its word: its codes, statuses, methods, files and numbers are those of the code."""

from __future__ import annotations

import re

import pytest

from tests.client.real_server import ROOT
from unseen import errors, wire
from unseen_client import rpcs
from unseen_client.flows.enrol import ROWS_PER_STREAM
from unseen_client.retry import FIRST_PAUSE_S, LONGEST_PAUSE_S

KINDS = {kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs/protocol.md").read_text()


def test_every_method_stands_on_the_page_and_no_other(page):
    table = page.split("| service |")[1].split("\n\n")[0]
    listed = {
        f"/unseen.v1.{cells[1]}/{method}"
        for cells in (line.split("|") for line in table.replace(" ", "").splitlines() if "Service" in line)
        for method in cells[2].split(",")
    }
    assert listed == {rpc.path for rpc in rpcs.ALL}


def test_codes_have_the_statuses_that_the_page_gives_them(page):
    table = page.split("| code | status |")[1].split("\n\n")[0]
    lines = re.findall(r"^\| ([A-Z_]+(?:, [A-Z_]+)*) \| ([A-Z_]+) \|", table, re.MULTILINE)
    rows = [(code, status) for codes, status in lines for code in codes.split(", ")]
    assert len(rows) >= 10
    for code, status in rows:
        assert wire.GRPC_STATUS[KINDS[code]] == status
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", page)) - {status for _, status in rows} - set(KINDS) <= {"UNSEEN_HOME"}


def test_every_vector_file_stands_on_the_page_and_no_other(page):
    files = {path.name for path in (ROOT / "tests/vectors").glob("*.json")}
    assert set(re.findall(r"`(\w+\.json)`", page)) == files


def test_the_numbers_are_those_of_the_code(page):
    assert f"Pauses between tries: {FIRST_PAUSE_S:g} s, doubled up to {LONGEST_PAUSE_S:g} s" in page
    assert f"ours have at most {ROWS_PER_STREAM:,}" in page
    assert wire.CODE_METADATA_KEY + ": CODE" in page
