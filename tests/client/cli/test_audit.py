"""`unseen audit`, `unseen status` and `unseen sbom` as people run them, each as a process of its own."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def output(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def acted(unseen: Run, name: str) -> Run:
    """A device that has made and deleted a collection."""
    assert unseen("create", name, "--dimension", 16).returncode == 0
    assert unseen("delete", name, "--yes").returncode == 0
    return unseen


def test_an_auditors_day(acted: Run, tmp_path: Path) -> None:
    receipts = output(acted("audit", "receipts", "--json"))["receipts"]
    acts = [json.loads(receipt["leaf"])["act"] for receipt in receipts]
    assert acts[0] == "CreateCollection"
    assert "DeleteCollection" in acts
    (tmp_path / "receipt.json").write_text(json.dumps(receipts[0]))
    proven = output(acted("audit", "prove", tmp_path / "receipt.json", "--json"))
    assert proven["receipt"]["act"] == "CreateCollection"
    assert "proven: CreateCollection" in acted("audit", "prove", receipts[0]["index"]).stdout

    head = acted("audit", "head").stdout
    assert head.startswith("unseen/")
    (tmp_path / "today.head").write_text(head)
    verified = acted("audit", "verify", "--against", tmp_path / "today.head", "--against", tmp_path / "receipt.json")
    assert re.fullmatch(r"verified: \d+ leaves give .* from elsewhere \(2\)\n", verified.stdout), verified

    exported = output(acted("audit", "export", tmp_path / "all.jsonl", "--json"))
    assert stat.S_IMODE((tmp_path / "all.jsonl").stat().st_mode) == 0o600
    lines = (tmp_path / "all.jsonl").read_bytes().splitlines()
    assert len(lines) == exported["leaves"] + 2
    checked = output(acted("audit", "verify", tmp_path / "all.jsonl", "--against", tmp_path / "today.head", "--json"))
    assert checked == {"leaves": exported["leaves"], "first_index": 0, "compared": 1, "keys_known": True}

    (tmp_path / "all.jsonl").write_bytes(b"\n".join(lines[:2] + lines[3:]) + b"\n")
    cut = acted("audit", "verify", tmp_path / "all.jsonl", "--json")
    assert cut.returncode == 1
    assert json.loads(cut.stderr)["error"]["code"] == "PROOF_BROKEN"


def test_an_export_of_a_server_that_is_not_known_here_takes_a_word_on_whose_it_is(acted: Run, tmp_path: Path) -> None:
    exported, stranger = tmp_path / "all.jsonl", {"UNSEEN_HOME": str(tmp_path / "elsewhere")}
    assert acted("audit", "export", exported).returncode == 0
    refused = acted("audit", "verify", exported, **stranger)
    assert (refused.returncode, refused.stdout) == (1, "")
    [named] = re.findall(r"own, ([0-9a-f ]+): compare it", " ".join(refused.stderr.split()))
    for written in (named, named.replace(" ", "").upper()):
        taken = acted("audit", "verify", exported, "--signed-by", written, **stranger)
        assert taken.stdout.endswith("signed by the key that was named\n"), taken
    for device in (stranger, {}):
        other = acted("audit", "verify", exported, "--signed-by", "2e6c 29a0 9d31 de5e 9cc1 1942 6e80 0347", **device)
        assert other.returncode == 1
        assert "no key of this export" in other.stderr
    assert acted("audit", "verify", "--signed-by", named).returncode == 2


def test_an_export_goes_to_the_output_for_other_tools(acted: Run) -> None:
    lines = acted("audit", "export", "--since", "2020-01-01").stdout.splitlines()
    assert json.loads(lines[0])["format"] == "unseen-audit-export-1"
    assert {"act", "outcome", "salt", "time", "version", "who"} <= set(json.loads(lines[1]))
    assert acted("audit", "export", "--since", "9000-01-01").stdout.count("\n") == 2


def test_an_export_never_overwrites_a_file(acted: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    refused = acted("audit", "export", tmp_path / "kept")
    assert refused.returncode == 2
    assert (tmp_path / "kept").read_text() == "mine"


def test_what_is_no_receipt_and_no_head_is_refused(acted: Run, tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("junk")
    assert acted("audit", "prove", tmp_path / "junk").returncode == 2
    assert acted("audit", "prove", tmp_path / "absent").returncode == 2
    assert acted("audit", "prove", "99999999").returncode == 2
    assert acted("audit", "verify", "--against", tmp_path / "junk").returncode == 1
    assert acted("audit", "verify", tmp_path / "junk").returncode == 2


def test_a_device_remembers_the_log_from_the_first_check_on(acted: Run) -> None:
    first = output(acted("audit", "check", "--json"))
    later = output(acted("audit", "check", "--json"))
    assert 0 < first["since"] <= first["leaves"] <= later["since"] + 1
    assert "goes on from what this device has seen" in acted("audit", "check").stdout
    accepted = output(acted("audit", "accept", "--json"))
    assert accepted["leaves"] >= later["leaves"]
    assert output(acted("audit", "receipts", "--json"))["receipts"] == []


def test_status_tells_what_an_operator_wants_to_know(unseen: Run) -> None:
    words = unseen("status").stdout
    for line in ("state       serving", "rows ", "store       sqlite, master key from file", "disk ", "audit log ",
                 "memory ", "masks ", "searches ", "limits ", f"version     unseen {version('unseen')}"):  # fmt: skip
        assert line in words, words
    fields = output(unseen("status", "--json"))
    assert fields["serving"] is True
    assert fields["traffic"]["under_way"] >= 1
    assert fields["certificate_expires"] is None


def test_sbom_lists_what_pip_lists(unseen: Run) -> None:
    bill = json.loads(unseen("sbom", "--all").stdout)
    listed = json.loads(
        subprocess.run(
            [sys.executable, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
        ).stdout
    )
    pip = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in listed}
    ours = {one["purl"].partition("pkg:pypi/")[2].partition("@")[0]: one["version"] for one in bill["components"]}
    assert ours == {name: found for name, found in pip.items() if name != "unseen"}


def test_sbom_has_the_form_of_cyclonedx(unseen: Run) -> None:
    bill = json.loads(unseen("sbom").stdout)
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", bill["serialNumber"]
    )
    assert bill["metadata"]["component"]["name"] == "unseen"
    references = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in bill["dependencies"]} == references
    assert all(set(one["dependsOn"]) <= references for one in bill["dependencies"])
    names = {one["name"].lower() for one in bill["components"]}
    assert {"cryptography", "grpcio", "numpy", "numba"} <= names
    assert not {"pytest", "mypy", "ruff"} & names, "what only development needs is no part of it"
