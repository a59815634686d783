"""The examples of docs/search.md and docs/data.md run as they stand, a program each, and command lines one by one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.real_server import ENVIRONMENT, ROOT, RealServer

PAGE = (ROOT / "docs/search.md").read_text()
DATA_PAGE = (ROOT / "docs/data.md").read_text()
ADDRESS_ON_PAGE = "127.0.0.1:7443"
SHOWN_ID = """
import json
print(json.dumps(ids))
client.close()
"""
EVERY_COMMAND = """
import json
import sys
from unseen_client.cli.app import app
for words in json.loads(sys.argv[1]):
    app(words, standalone_mode=False)
"""


def python_blocks(page: str = PAGE) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def command_lines() -> list[str]:
    return re.findall(r"^    (unseen .*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository's root to a reader, with the pictures that the command lines name."""
    made = tmp_path_factory.mktemp("page")
    (made / "examples").symlink_to(ROOT / "examples")
    for name in ("raccoon.jpg", "tiger-in-snow.jpg"):
        (made / name).symlink_to(ROOT / "examples/demo/photos" / name)
    return made


@pytest.fixture(scope="module")
def environment(folder: Path) -> Iterator[dict[str, str]]:
    server = RealServer(folder)
    yield dict(ENVIRONMENT) | {"UNSEEN_HOME": str(folder / "home"), "UNSEEN_SERVER": server.address}
    server.stop()


@pytest.fixture(scope="module")
def ids(folder: Path, environment: dict[str, str]) -> list[str]:
    """Runs the Python blocks; the ids that their collection has."""
    found: list[str] = json.loads(run_program([*python_blocks(), SHOWN_ID], folder, environment))
    return found


def run_program(blocks: list[str], folder: Path, environment: dict[str, str]) -> str:
    program = "\n".join(blocks).replace(ADDRESS_ON_PAGE, environment["UNSEEN_SERVER"])
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_python_blocks_run_and_what_they_assert_is_so(ids: list[str]) -> None:
    assert len(ids) == 6


def test_the_python_blocks_of_the_page_about_data_run_too(folder: Path, environment: dict[str, str]) -> None:
    blocks = python_blocks(DATA_PAGE)
    assert len(blocks) == 4
    run_program([*blocks, "client.close()"], folder, environment)
    assert (folder / "gate.jsonl").exists()


def test_the_command_lines_run(folder: Path, environment: dict[str, str], ids: list[str]) -> None:
    lines = [line.replace("create readings", "create readings-again") for line in command_lines()]
    words = [
        [word.replace("ID", ids[at % len(ids)]) for at, word in enumerate(shlex.split(line)[1:])] for line in lines
    ]
    assert len(words) >= 7
    command = [sys.executable, "-c", EVERY_COMMAND, json.dumps(words)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rank") == len(lines) - 1, done.stdout
