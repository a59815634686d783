"""The models commands as people and scripts meet them; in this process, but where a server is asked too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from tests.client.models.small_hub import COMMIT, REPOSITORY, SmallHub, answering
from tests.core.embed.pulled.tiny_onnx import UPSTREAM
from unseen_client.cli.app import app
from unseen_client.models.known import KNOWN


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with answering(SmallHub({REPOSITORY: dict(UPSTREAM)})) as running:
        yield running


@pytest.fixture
def models(home, hub) -> Callable[..., Result]:
    """Runs `unseen models`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            app, ["models", *arguments], env={"UNSEEN_HOME": str(home), "UNSEEN_HUB": hub.address}
        )

    return run


def output(done: Result):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_is_pulled_shown_checked_and_used(models, unseen, name):
    pulled = output(models("pull", REPOSITORY, "--json"))
    assert (pulled["name"], pulled["revision"], pulled["licence"]) == ("tiny", COMMIT, "mit")
    listed = output(models("list", "--json"))
    assert {one["name"]: one["dimension"] for one in listed["here"]} == {"bundled": 512, "tiny": 16}
    assert [one["name"] for one in listed["can_be_pulled"]] == [one.name for one in KNOWN]
    assert output(models("info", "tiny", "--json")) == pulled
    assert output(models("check", "--json"))["models"] == [
        {
            "name": "tiny",
            "works": True,
            "told": ["3 files hash to what is pinned", "a picture becomes 16 numbers", "words become 16 numbers"],
        }
    ]
    made = unseen("create", name, "--model", "tiny", "--json")
    assert json.loads(made.stdout)["model_id"] == pulled["model_id"]


def test_a_hubs_words_are_text_on_a_terminal(models, hub):
    hub.licence = "mit\x1b[2J\nlicence\tnone"
    pulled, shown = models("pull", REPOSITORY), models("info", "tiny")
    for done in (pulled, shown):
        assert done.exit_code == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert r"mit\x1b[2J\nlicence\tnone" in done.stdout
    assert output(models("info", "tiny", "--json"))["licence"] == hub.licence


def test_the_same_in_words(models, home):
    done = models("pull", REPOSITORY, "--name", "mine")
    assert done.exit_code == 0, done.stderr
    assert "mine is here, 16 numbers, licence: mit" in done.stdout
    assert "bundled\t512 numbers" in models("list").stdout
    shown = models("info", "mine").stdout
    assert hashlib.sha256(UPSTREAM["tokenizer.json"]).hexdigest() in shown
    assert "picture_interpolation\tbicubic" in shown
    weights = next((home / "models").glob("mine@*/onnx/text_model.onnx"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = models("check", "mine")
    assert done.exit_code == 1
    assert "DOES NOT WORK" in done.stdout


def test_every_known_model_says_its_licence_and_where_it_lies(models):
    listed = output(models("list", "--json"))["can_be_pulled"]
    assert all(one["licence"] and "/" in one["repository"] and one["use"] for one in listed)
    told = models("info", "bundled").stdout
    assert all(word in told for word in ("licence", "origin", "limits", "no words of medicine"))


def test_what_is_wrong_is_said_with_an_exit_code(models):
    assert models("pull", "nobody/nothing").exit_code == 5
    assert models("pull", "clip-b-32", "--hub", "http://example.invalid").exit_code == 2
    assert models("pull", REPOSITORY, "--sha256", "a=b").exit_code == 2
    assert models("info", "absent").exit_code == 2


@pytest.mark.parametrize("command", ["list", "info", "pull", "check"])
def test_every_command_shows_an_example(models, command):
    shown = models(command, "--help").stdout
    assert f"  unseen models {command}" in shown
    assert "--json" in shown
