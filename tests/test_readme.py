"""The README's code runs as it stands, in its order, against a real server; so does every example.

Console blocks are run line by line, Python blocks together as one program. Only the address is another one, so that
the test needs no particular port to be free.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.server.server_process import READY_LINE

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
ADDRESS_IN_README = "127.0.0.1:7443"
SERVE = "unseen serve "
LONGEST_S = 300.0


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command line of the console blocks, in order."""
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


@dataclass
class Stage:
    """An empty folder that looks like the repository's root to a reader, with a server of its own."""

    folder: Path
    address: str
    environment: dict[str, str] = field(repr=False)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )

    def command(self, line: str) -> list[str]:
        """A line of the README as it is run here."""
        program, *arguments = shlex.split(line.replace(ADDRESS_IN_README, self.address))
        return [str(Path(sys.executable).with_name(program)), *arguments]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    stage = Stage(folder, "127.0.0.1:0", os.environ | {"UNSEEN_HOME": str(folder / "home")})
    (serve,) = [line for line in commands() if line.startswith(SERVE)]
    with subprocess.Popen(
        stage.command(serve),
        cwd=folder,
        env=stage.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith(READY_LINE), line
            stage.address = stage.environment["UNSEEN_SERVER"] = line.split()[-1]
            yield stage
        finally:
            server.terminate()
            server.wait(timeout=LONGEST_S)


@pytest.fixture(scope="module")
def python_output(stage: Stage) -> str:
    program = "\n".join(blocks("python")).replace(ADDRESS_IN_README, stage.address)
    result = stage.run([sys.executable, "-W", "error", "-c", program])
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_python_blocks_run_and_the_striped_animal_is_found(python_output: str) -> None:
    assert "tiger" in python_output


@pytest.mark.parametrize("line", [line for line in commands() if not line.startswith(SERVE)])
def test_the_console_lines_run(stage: Stage, python_output: str, line: str) -> None:
    assert python_output
    result = stage.run(stage.command(line))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_query_of_two_parts_finds_food_that_is_no_fruit(stage: Stage, python_output: str) -> None:
    (line,) = [line for line in commands() if "--not-words" in line]
    result = stage.run([*stage.command(line), "--json"])
    assert python_output
    assert json.loads(result.stdout)["hits"][0]["name"] == "biscuits.jpg"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_the_example_runs(stage: Stage, path: Path) -> None:
    result = stage.run([sys.executable, "-W", "error", str(path)])
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_example_stands_in_its_readme() -> None:
    listed = (ROOT / "examples/README.md").read_text()
    assert [path.name for path in (ROOT / "examples").glob("*.py") if f"`{path.name}`" not in listed] == []


def test_the_two_lines_that_install_a_server_are_the_ones_that_are_tried() -> None:
    assert "    pip install -r requirements/server.txt\n    pip install --no-deps unseen\n" in README


def test_the_first_two_commands_are_demo_and_test() -> None:
    assert re.findall(r"^    make (\w+)", README, flags=re.MULTILINE)[:2] == ["demo", "test"]
