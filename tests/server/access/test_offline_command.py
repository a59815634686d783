"""Tokens on the server's machine: what cannot be is refused in one sentence, what was done is in the audit log."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unseen_server.access import __main__ as offline
from unseen_server.access.grants import Grants
from unseen_server.config import Config
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.opening import open_audit
from unseen_server.storage import open_store


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command in this process; gives exit code, output and errors."""
    monkeypatch.setattr(offline, "prepare_process", lambda: None)
    where = ["--data", str(tmp_path / "data"), "--master-key", str(tmp_path / "master.key")]

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["access", *arguments, *where])
        code = offline.main()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


WISHES = [
    (("--role", "king"), "is not one of"),
    ((), "no role"),
    (("--role", "reader", "--expires", "2y"), "90d, 12h"),
    (("--role", "reader", "--expires", "367d"), "at most 366 days"),
    (("--role", "reader", "--tenant", "Clinic"), "tenant"),
    (("--role", "reader", "--collection", "../x"), "scope"),
    (("--role", "reader", "--name", "line\nbreak"), "name"),
    (("--role", "reader", "--certificate", " padded"), "name"),
]


@pytest.mark.parametrize(("wish", "words"), WISHES)
def test_wishes_that_cannot_be_are_refused_in_one_sentence(
    command: Callable[..., Any], wish: tuple[str, ...], words: str
) -> None:
    code, out, err = command("create", "--name", "x", *wish)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert words in err


def test_token_is_all_there_is_on_the_output_and_stands(command: Callable[..., Any], tmp_path: Path) -> None:
    code, out, err = command("create", "--name", "alice", "--role", "reader", "--searches-per-minute", "7")
    assert (code, len(out.splitlines())) == (0, 1)
    assert out.strip() not in err
    store = open_store(
        Config(tmp_path / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(tmp_path / "master.key"), None, 1)
    )
    grants = Grants(store)
    caller = grants.by_token(out.strip(), grants.all()[0].made_at)
    store.close()
    assert (caller.name, caller.allowance.searches_per_minute) == ("alice", 7)


def test_every_token_of_every_tenant_is_listed_and_one_is_revoked(command: Callable[..., Any]) -> None:
    for tenant in ("ward", "lab"):
        command("create", "--tenant", tenant, "--name", "x", "--role", "reader")
    listed = json.loads(command("list", "--json")[1])["tokens"]
    assert [one["tenant"] for one in listed] == ["ward", "lab"]
    assert command("revoke", listed[0]["uid"])[0] == 0
    assert [one["revoked_at"] is None for one in json.loads(command("list", "--json")[1])["tokens"]] == [False, True]
    code, _, err = command("revoke", "00" * 16)
    assert (code, "no token" in err) == (1, True)
    assert command("revoke", "00")[0] == 2


def test_audit_log_says_what_was_done_here_and_the_store_knows_the_requests(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    command("create", "--name", "x", "--role", "reader")
    listed = json.loads(command("list", "--json")[1])["tokens"]
    command("revoke", listed[0]["uid"])
    config = Config(tmp_path / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(tmp_path / "master.key"), None, 1)
    store = open_store(config)
    audit = open_audit(config, store)
    log = audit.log_of("")
    leaves = [json.loads(leaf) for leaf in log.leaves(0, log.size)]
    known = [store.knows_request(bytes.fromhex(leaf["request"])) for leaf in leaves if leaf["act"] != "ListTokens"]
    audit.close()
    store.close()
    assert [(leaf["act"], leaf["outcome"]) for leaf in leaves] == [
        ("CreateToken", "ASKED"),
        ("CreateToken", "OK"),
        ("ListTokens", "OK"),
        ("RevokeToken", "ASKED"),
        ("RevokeToken", "OK"),
    ]
    assert known == [True] * 4
