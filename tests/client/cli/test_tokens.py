"""The tokens commands: made on the server's machine, then through the server; shown once, listed without a secret."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.client.real_server import ENVIRONMENT
from unseen.bearer import PREFIX, TEXT_LENGTH


@pytest.fixture
def command(tmp_path):
    """Runs the command line with a home of its own."""

    def run(*arguments, **environment):
        program = [sys.executable, "-c", "from unseen_client.cli import main; main()", *map(str, arguments)]
        known = {key: value for key, value in ENVIRONMENT.items() if not key.startswith("UNSEEN_")}
        known |= {"UNSEEN_HOME": str(tmp_path / "home")} | environment
        return subprocess.run(program, capture_output=True, text=True, env=known, timeout=120, check=False)

    return run


def token_of(done):
    assert done.returncode == 0, done.stderr
    text = done.stdout.strip()
    assert text.startswith(PREFIX)
    assert len(text) == TEXT_LENGTH
    return text


def test_from_the_first_token_to_a_revoked_one(command, own_server, tmp_path):
    """As an administrator would go about it, with the server's folders where the server of the test has them."""
    server = own_server()
    server.stop()
    where = ("--data", server.data, "--master-key", server.data.parent / "master.key")
    done = command(
        "tokens", "create", *where, "--tenant", "clinic", "--name", "head", "--role", "admin", "--role", "reader"
    )
    head = token_of(done)
    assert "clinic\thead\tadmin, reader" in done.stderr
    listed = json.loads(command("tokens", "list", *where, "--json").stdout)["tokens"]
    assert [(one["name"], one["made_by"]) for one in listed] == [("head", "local")]
    server.start()
    reached = {"UNSEEN_SERVER": server.address}
    assert command("tokens", "list", **reached).returncode == 7, "no token, not let in"
    reached["UNSEEN_TOKEN"] = head
    reader = token_of(
        command("tokens", "create", "--name", "ward-3", "--role", "reader", "--collection", "x", **reached)
    )
    (tmp_path / "token").write_text(reader)
    by_file = {"UNSEEN_SERVER": server.address}
    who = json.loads(command("tokens", "whoami", "--json", "--token-file", tmp_path / "token", **by_file).stdout)
    assert (who["tenant"], who["name"], who["roles"], who["collections"]) == ("clinic", "ward-3", ["reader"], ["x"])
    assert all(number > 0 for number in who["quota"].values())
    refused = command("tokens", "create", "--name", "x", "--role", "steward", **reached)
    assert (refused.returncode, "more than" in refused.stderr) == (7, True)
    listed = json.loads(command("tokens", "list", "--json", **reached).stdout)["tokens"]
    assert [one["name"] for one in listed] == ["head", "ward-3"]
    words = command("tokens", "list", **reached).stdout
    for token in (head, reader):
        assert token not in words
        assert token[-40:] not in words
    assert command("tokens", "revoke", listed[1]["uid"], **reached).returncode == 0
    assert command("tokens", "whoami", UNSEEN_TOKEN=reader, **by_file).returncode == 7
    assert "revoked" in command("tokens", "list", **reached).stdout
    server.stop()
    assert command("tokens", "revoke", listed[0]["uid"], *where).returncode == 0
    server.start()
    assert command("tokens", "whoami", **reached).returncode == 7


def test_tokens_are_not_touched_while_the_server_runs(command, own_server):
    server = own_server()
    where = ("--data", server.data, "--master-key", server.data.parent / "master.key")
    done = command("tokens", "create", *where, "--name", "x", "--role", "reader")
    assert done.returncode != 0
    assert "in use by another server" in done.stderr


def test_misspelt_option_is_no_option_of_the_servers(command):
    done = command("tokens", "list", "--dta", "x")
    assert (done.returncode, "--dta" in done.stderr) == (2, True)


def test_certificate_is_bound_on_the_servers_machine_only(command, own_server):
    server = own_server()
    done = command(
        "tokens", "create", "--name", "x", "--role", "reader", "--certificate", "d", UNSEEN_SERVER=server.address
    )
    assert (done.returncode, "--data" in done.stderr) == (2, True)
    server.stop()
    where = ("--data", server.data, "--master-key", server.data.parent / "master.key")
    done = command("tokens", "create", *where, "--name", "x", "--role", "reader", "--certificate", "d", "--json")
    made = json.loads(done.stdout)
    assert (made["token"], made["certificate"]) == ("", "d")
    server.start()
