"""docs/access.md keeps its word: its tables are computed anew, and its recipe for TLS is carried out and used."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.contract import methods_of_the_contract
from unseen.params import N2048_Q29, N2048_Q29_FINE
from unseen_server.access.table import TABLE, markdown
from unseen_server.call import Caller, Role
from unseen_server.config import QUOTAS
from unseen_server.quota import DEFAULT

Make = Callable[..., Any]
PAGE = Path(__file__).parents[3] / "docs/access.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


def cells(page: str, header: str) -> list[list[str]]:
    """The rows of the table that begins with a header cell."""
    lines = page[page.index(f"| {header} |") :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_table_of_methods_is_the_servers_own(page: str) -> None:
    assert markdown() in page


def test_no_method_of_any_service_is_missing_from_the_table() -> None:
    """Every service of every file of the contract that the generated code has."""
    generated = (PAGE.parents[1] / "core/unseen/v1").glob("*_pb2_grpc.py")
    methods = {path for file in generated for path in re.findall(r"'(/unseen\.v1\.\w+/\w+)'", file.read_text())}
    assert len(methods) >= 13
    assert methods == set(TABLE)
    described = {f"/{one.containing_service.full_name}/{one.name}" for one in methods_of_the_contract()}
    assert described == methods, "both ways of reading the contract agree"


def test_every_role_has_its_line(page: str) -> None:
    assert [row[0] for row in cells(page, "role")] == list(Role)


def test_defaults_are_those_of_the_code(page: str) -> None:
    stated = {row[0]: int(row[1].replace(",", "")) for row in cells(page, "what")}
    assert stated == {f"--{name.replace('_', '-')}": number for name, (number, _) in QUOTAS.items()}


def test_bits_about_rows_are_computed_as_the_page_says(page: str) -> None:
    per_search, allowance = N2048_Q29.bits_per_coefficient, DEFAULT.bits_per_row_per_day
    assert allowance is not None
    assert f"at most {per_search:.1f} bits ({N2048_Q29_FINE.bits_per_coefficient:.1f} with the fine set)" in page
    assert f"{allowance:,} bits about each row are {int(allowance / per_search)} searches a day" in page
    for d, bits, searches, part in cells(page, "d"):
        in_a_row = int(d) * math.log2(N2048_Q29.row_scale * math.sqrt(2 * math.pi * math.e / int(d)))
        assert int(bits.replace(",", "")) == round(in_a_row)
        assert int(searches.replace(",", "")) == round(in_a_row / per_search)
        assert int(part.removesuffix(" %")) == round(100 * allowance / in_a_row)


def test_recipe_for_tls_makes_files_that_a_server_and_its_clients_take(
    page: str, tmp_path: Path, make_server: Make, call: Make, write_grants: Make
) -> None:
    recipe = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert recipe is not None
    assert shutil.which("openssl"), "`make system` installs it"
    subprocess.run(["sh", "-e", "-c", recipe[1]], cwd=tmp_path, check=True, capture_output=True)
    text = write_grants(tmp_path, {"": Caller("", "alice", frozenset({Role.READER}))})[""]
    files = ("--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key"))
    server = make_server("--listen", "0.0.0.0:0", *files).start()
    trusted = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
    assert call(server, trusted, text).access().access.name == "alice"
    distrustful = call(server, grpc.ssl_channel_credentials(), text)
    assert distrustful.refusal(distrustful.info).status == "UNAVAILABLE"
