"""A server installed from its own list holds no SEAL, no model runtime and no image library, and it serves.

Makes a real environment with pip, as the README describes it, and starts the server that was installed there. The
run-time rule of imports (tests/server/test_import_rule.py) covers the environment where everything is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ABSENT = {"tenseal", "torch", "opacus", "pillow", "onnxruntime", "tokenizers", "opencv-python", "typer", "rich"}


def run(*command: str | Path) -> str:
    """Run to the end and return what was printed; the output of a failed command is in the error."""
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    result = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def server_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment made by the two lines of the README."""
    folder = tmp_path_factory.mktemp("server-only")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    run(*pip, "-c", ROOT / "constraints/tested.txt", "-r", ROOT / "requirements/server.txt")
    run(*pip, "--no-deps", ROOT)
    return python


def test_the_server_alone_has_no_seal_no_model_and_no_image_library(server_python: Path) -> None:
    listed = json.loads(run(server_python, "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"))
    installed = {package["name"].lower().replace("_", "-") for package in listed}
    assert installed & ABSENT == set()
    assert "unseen" in installed


def test_the_server_alone_imports_every_module_of_its_own(server_python: Path) -> None:
    program = (
        "import importlib, pkgutil, unseen_server\n"
        "for module in pkgutil.walk_packages(unseen_server.__path__, 'unseen_server.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
    )
    run(server_python, "-c", program)
