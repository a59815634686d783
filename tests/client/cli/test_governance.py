"""Agreements, consents and rights by command, as a steward types them, against the real server."""

from __future__ import annotations

import base64
import errno
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.client.real_server import RealServer
from tests.core.governance.written import NOON, UID
from unseen.governance.certificate import Asked, ErasureCertificate
from unseen.governance.keys import KeyPair, fingerprint
from unseen_client.cli import policy as policy_commands
from unseen_client.cli.app import app
from unseen_client.receipts import ReceiptBook

Unseen = Callable[..., Result]
GROUPS = {
    "policy": ("keygen", "draft", "set", "show", "accept", "history", "record-of-processing"),
    "consent": ("record", "withdraw", "list"),
    "subject": ("export",),
    "certificate": ("list", "verify"),
    "hold": ("set", "lift", "list"),
    "emergency": ("open", "end", "list"),
}


def output(done: Result) -> Any:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def unseen(server: RealServer, home: Path) -> Unseen:
    """Runs a command in this process: what a process of its own adds is shown in test_cli.py."""

    def run(*arguments: object, **environment: str) -> Result:
        known = {"UNSEEN_SERVER": server.address, "UNSEEN_HOME": str(home)} | environment
        return CliRunner().invoke(app, [*map(str, arguments)], env=known, prog_name="unseen")

    return run


@pytest.fixture
def terms(tmp_path: Path) -> Path:
    """The draft, filled in as a steward would."""
    draft = json.loads(json.dumps(policy_commands.DRAFT))
    draft["controller"] |= {"name": "Example Hospital Trust", "contact": "mailto:privacy@hospital.example"}
    draft |= {
        "contact": "mailto:rights@hospital.example",
        "data_subjects": ["patients"],
        "emergency": {"most_hours": 4},
    }
    draft["purposes"][0]["description"] = "finding similar cases for a study"
    draft["purposes"].append({"id": "teaching", "description": "showing cases to students", "type": ""})
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(draft))
    return path


@pytest.fixture
def vectors(tmp_path: Path, unit_vectors: Callable[..., np.ndarray]) -> Path:
    np.save(tmp_path / "vectors.npy", unit_vectors(6, 16))
    np.save(tmp_path / "query.npy", unit_vectors(6, 16)[4])
    (tmp_path / "ids.txt").write_text("\n".join(f"row {at}" for at in range(6)))
    return tmp_path


def test_a_whole_life_under_a_policy_in_json(unseen: Unseen, name: str, terms: Path, vectors: Path) -> None:
    enrolment = ("enrol", name, vectors / "vectors.npy", "--ids", vectors / "ids.txt", "--json")
    query = ("search", name, "--vector", vectors / "query.npy", "-k", 3, "--json")
    output(unseen("create", name, "--dimension", 16, "--json"))
    print_ = output(unseen("policy", "keygen", "--json"))["fingerprint"]
    put = output(unseen("policy", "set", name, terms, "--json"))
    assert (put["fingerprint"], put["accepted"], put["known_controller"]) == (print_, True, True)
    assert put["policy"]["version"] == 1

    refused = unseen(*enrolment, "--subject", "patient 17")
    assert (refused.exit_code, json.loads(refused.stderr)["error"]["code"]) == (8, "CONSENT_NOT_VALID")
    given = output(
        unseen("consent", "record", name, "patient 17", "--purpose", "research", "--valid-days", 30, "--json")
    )["consent"]
    assert output(unseen(*enrolment, "--subject", "patient 17"))["enrolled"] == 6

    assert output(unseen(*query, "--purpose", "research"))["hits"][0]["id"] == "row 4"
    assert output(unseen(*query, "--purpose", "teaching"))["hits"] == []
    assert json.loads(unseen(*query).stderr)["error"]["code"] == "PURPOSE_NOT_ALLOWED"

    listed = output(unseen("consent", "list", name, "--subject", "patient 17", "--json"))["consents"]
    assert [one["consent"] for one in listed] == [given]
    assert listed[0]["ended_at"] is None
    exported = output(unseen("subject", "export", name, "patient 17", "--json"))
    assert [row["id"] for row in exported["rows"]] == [f"row {at}" for at in range(6)]
    assert (exported["rows"][0]["purposes"], exported["rows"][0]["withheld"]) == (["research"], False)
    assert exported["policies"] == [put["policy"]]
    assert len(exported["rows"][0]["vector"]) == 16
    assert base64.b64decode(exported["rows"][0]["thumbnail"]) == b""

    assert output(unseen("hold", "set", name, "CASE-17", "--subject", "patient 17", "--json"))["lifted_at"] is None
    certificate = vectors / "erased.json"
    kept = unseen("erase", name, "--subject", "patient 17", "--certificate", certificate, "--json")
    assert (kept.exit_code, json.loads(kept.stderr)["error"]["code"]) == (8, "ON_LEGAL_HOLD")
    assert not certificate.exists()
    assert output(unseen("hold", "lift", name, "CASE-17", "--json"))["lifted_at"] is not None
    assert [hold["reason_code"] for hold in output(unseen("hold", "list", name, "--json"))["holds"]] == ["CASE-17"]

    assert output(unseen("erase", name, "row 5", "--json")) == {"erased": 1}
    assert output(unseen("consent", "withdraw", name, "patient 17", "--json")) == {"rows": 5}
    assert output(unseen(*query, "--purpose", "research"))["hits"] == []
    erased = output(unseen("erase", name, "--subject", "patient 17", "--certificate", certificate, "--json"))
    assert erased["erased"] in (0, 5)  # the server may have erased the withdrawn rows by itself before
    verified = output(unseen("certificate", "verify", certificate, "--json"))["certificates"]
    assert (verified[0]["rows"], verified[0]["asked"]) == (erased["erased"], "subject")
    assert len(verified[0]["servers"]) == 1
    all_of_them = output(unseen("certificate", "list", name, "--json"))["certificates"]
    assert sum(one["rows"] for one in all_of_them) == 6
    certificate.write_bytes(certificate.read_bytes().replace(b'"rows":', b'"rows":1'))
    assert unseen("certificate", "verify", certificate).exit_code in (1, 2)


def test_a_certificate_that_anybody_could_have_made_is_not_verified(unseen: Unseen, tmp_path: Path) -> None:
    server, stranger = KeyPair(bytes(range(32))), KeyPair(bytes(range(1, 33)))
    certificate = ErasureCertificate(UID, UID, Asked.COLLECTION, None, 5, 1, 2, NOON)
    true, made_up = (certificate.signed(key.public_key, key.sign).to_bytes() for key in (server, stranger))
    file, mixed = tmp_path / "erased.json", tmp_path / "mixed.json"
    file.write_bytes(made_up)
    mixed.write_bytes(true + b"\n" + made_up)
    home = tmp_path / "home of its own"
    damaged = home / "receipts" / ("2" * 32) / "a.sqlite"
    with closing(ReceiptBook(home / "receipts" / ("1" * 32) / "a.sqlite", "unseen/a/b")) as book:
        book.know_keys([server.public_key])
    damaged.parent.mkdir()
    damaged.write_bytes(b"no database " * 1000)
    damaged.chmod(0o600)

    def verify(path: Path, *options: str) -> Result:
        return unseen("certificate", "verify", path, *options, UNSEEN_HOME=str(home))

    refused = verify(file)
    assert refused.exit_code == 1
    assert "1 of 1 certificates: the signature is of no server that this device knows" in refused.stderr
    assert fingerprint(stranger.public_key) in refused.stderr
    assert str(damaged) in refused.stderr
    assert (verify(mixed).exit_code, verify(mixed, "--signed-by", fingerprint(server.public_key)).exit_code) == (1, 1)
    assert verify(file, "--signed-by", fingerprint(stranger.public_key)).exit_code == 0
    assert verify(file, "--signed-by", fingerprint(stranger.public_key).upper().replace(" ", "")).exit_code == 0
    file.write_bytes(true)
    known = output(verify(file, "--json"))
    assert known["certificates"][0]["servers"] == ["1" * 32]
    assert str(damaged) in known["unreadable"][0]
    assert verify(file, "--signed-by", fingerprint(stranger.public_key)).exit_code == 1
    assert json.loads(verify(mixed, "--json").stderr)["error"]["code"] == "PROOF_BROKEN"


def test_another_device_accepts_and_sees_what_came_before_it(unseen: Unseen, name: str, terms: Path) -> None:
    unseen("create", name, "--dimension", 16)
    print_ = output(unseen("policy", "keygen", "--controller-key", "trust", "--json"))["fingerprint"]
    output(unseen("policy", "set", name, terms, "--controller-key", "trust", "--json"))
    other = {"UNSEEN_HOME": str(terms.parent / "other")}
    shown = unseen("policy", "show", name, **other).stdout
    assert print_ in shown
    assert "compare the fingerprint" in shown
    assert "finding similar cases for a study" in shown
    assert output(unseen("policy", "accept", name, "--json", **other))["known_controller"] is True
    output(unseen("policy", "set", name, terms, "--controller-key", "trust", "--json"))
    history = output(unseen("policy", "history", name, "--json", **other))
    assert [one["policy"]["version"] for one in history["versions"]] == [1, 2]
    assert [one["accepted"] for one in history["versions"]] == [True, False]
    assert "version 2" in unseen("policy", "history", name).stdout
    assert output(unseen("policy", "show", name, "--version", 1, "--json"))["policy"]["version"] == 1

    output(unseen("policy", "keygen", "--controller-key", "stranger", "--json"))
    swapped = unseen("policy", "set", name, terms, "--controller-key", "stranger", "--json")
    assert swapped.exit_code == 0, swapped.stderr  # a steward may: it is the devices that do not follow
    refused = unseen("policy", "accept", name, "--json", **other)
    assert (refused.exit_code, json.loads(refused.stderr)["error"]["code"]) == (1, "CONTROLLER_CHANGED")
    stranger = output(unseen("policy", "show", name, "--json", **other))
    assert stranger["known_controller"] is False
    assert "NOT the one trusted here" in unseen("policy", "show", name, **other).stdout
    accepted = unseen("policy", "accept", name, "--new-key", stranger["fingerprint"], "--json", **other)
    assert output(accepted)["policy"]["version"] == 3


def test_emergencies_and_holds_are_told_in_words_and_counted(
    unseen: Unseen, name: str, terms: Path, vectors: Path
) -> None:
    unseen("create", name, "--dimension", 16)
    unseen("policy", "keygen")
    unseen("policy", "set", name, terms)
    unseen("consent", "record", name, "patient 17", "--purpose", "teaching")
    assert "6 enrolled" in unseen(
        "enrol", name, vectors / "vectors.npy", "--ids", vectors / "ids.txt", "--subject", "patient 17"
    ).stdout  # fmt: skip
    query = ("search", name, "--vector", vectors / "query.npy", "--purpose")
    assert unseen(*query, "emergency").exit_code == 8
    assert unseen("emergency", "open", name, "ER-1", "--hours", 5).exit_code == 2
    assert "OPEN until" in unseen("emergency", "open", name, "ER-1", "--hours", 2).stdout
    assert "row 4" in unseen(*query, "emergency").stdout
    assert output(unseen("status", "--json"))["governance"]["emergencies"] >= 1
    assert "EMERGENCY" in unseen("status").stdout
    assert "ER-1" in unseen("emergency", "end", name).stdout
    assert "searches: 1" in unseen("emergency", "list", name).stdout
    assert unseen(*query, "emergency").exit_code == 8
    assert "every row" in unseen("hold", "set", name, "CASE-1").stdout
    assert "stands" in unseen("hold", "list", name).stdout
    assert unseen("erase", name, "row 1").exit_code == 8
    assert "given" in unseen("consent", "list", name).stdout
    written = terms.parent / "patient-17.json"
    assert "wrote" in unseen("subject", "export", name, "patient 17", "--file", written).stdout
    assert written.stat().st_mode & 0o777 == 0o600
    assert json.loads(written.read_text())["holds"][0]["reason_code"] == "CASE-1"
    before = written.read_bytes()
    refused = unseen("subject", "export", name, "patient 17", "--file", written)
    assert (refused.exit_code, written.read_bytes()) == (2, before)
    assert "is there already" in refused.stderr


def test_an_export_that_does_not_fit_leaves_nothing_and_may_be_tried_again(
    unseen: Unseen, name: str, terms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    unseen("create", name, "--dimension", 16)
    unseen("policy", "keygen")
    unseen("policy", "set", name, terms)
    unseen("consent", "record", name, "patient 17", "--purpose", "teaching")
    export = ("subject", "export", name, "patient 17", "--file", tmp_path / "export" / "patient-17.json")
    (tmp_path / "export").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("unseen_client.home.os.fsync", full)
        done = unseen(*export)
    assert (done.exit_code, list((tmp_path / "export").iterdir())) == (1, [])
    assert "No space left" in done.stderr
    assert unseen(*export).exit_code == 0
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["patient-17.json"]


def test_the_record_of_processing_comes_as_json_and_as_markdown(unseen: Unseen, name: str, terms: Path) -> None:
    unseen("create", name, "--dimension", 16)
    unseen("policy", "keygen")
    unseen("policy", "set", name, terms)
    record = output(unseen("policy", "record-of-processing"))
    assert name in json.dumps(record)
    shown = unseen("policy", "record-of-processing", "--markdown").stdout
    assert "Example Hospital Trust" in shown
    assert unseen("policy", "record-of-processing", "--markdown", "--json").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["policy", "show", "nowhere"], 5),
        (["policy", "set", "nowhere", "/nonexistent.json"], 2),
        (["consent", "withdraw", "nowhere"], 2),
        (["consent", "withdraw", "nowhere", "x", "--consent", "00" * 16], 2),
        *((["consent", "record", "nowhere", "x", "--valid-days", days], 2) for days in ("1e300", "inf", "nan")),
        (["erase", "nowhere"], 2),
        (["erase", "nowhere", "row", "--subject", "x"], 2),
        (["erase", "nowhere", "--subject", "x"], 5),
        (["certificate", "verify", "/nonexistent.json"], 2),
        (["emergency", "open", "nowhere", "ER-1", "--hours", "-1"], 2),
        (["hold", "set", "nowhere", "CASE-1"], 5),
    ],
)
def test_what_cannot_be_gives_the_exit_code_of_the_help(unseen: Unseen, arguments: list[str], code: int) -> None:
    done = unseen(*arguments)
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_help_teaches_every_command_with_an_example(unseen: Unseen) -> None:
    top = unseen("--help").stdout
    assert "8 the policy does not allow it" in top
    for group, commands in GROUPS.items():
        shown = unseen(group, "--help").stdout
        assert "..." not in shown.partition("Commands:")[2], f"a summary of {group} was cut"
        for command in commands:
            assert f"  unseen {group} {command}" in unseen(group, command, "--help").stdout, (group, command)
