"""A server installed from its own list holds no SEAL, no model runtime and no image library, and it serves.

Makes a real environment with pip, as the README describes it, starts the server that was installed there, and searches
it with the client that was installed here. The run-time rule of imports (tests/server/test_import_rule.py) covers the
environment where everything is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from unseen_client import Client

ROOT = Path(__file__).resolve().parents[1]
ABSENT = {"tenseal", "torch", "opacus", "pillow", "onnxruntime", "tokenizers", "opencv-python", "typer", "rich"}
LONGEST_S = 120.0


def run(*command: str | Path) -> str:
    """Run to the end and return what was printed; the output of a failed command is in the error."""
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    result = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def pip_of(python: Path) -> list[str | Path]:
    """The pip of these tests, at work in another environment, which then needs none."""
    return [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def server_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment made by the two lines of the README."""
    folder = tmp_path_factory.mktemp("server-only")
    venv.create(folder)
    python = folder / "bin/python"
    # What is not compiled is compiled by whoever imports it, and most of it nobody here does.
    pip = [*pip_of(python), "install", "-q", "--no-compile", "--retries", "10", "--timeout", "60"]
    run(*pip, "-c", ROOT / "constraints/tested.txt", "-r", ROOT / "requirements/server.txt")
    run(*pip, "--no-deps", ROOT)
    return python


def test_the_server_alone_has_no_seal_no_model_and_no_image_library(server_python: Path) -> None:
    listed = json.loads(run(*pip_of(server_python), "list", "--format", "json"))
    installed = {package["name"].lower().replace("_", "-") for package in listed}
    assert installed & ABSENT == set()
    assert "unseen" in installed


def test_the_server_alone_serves_an_encrypted_search(server_python: Path, tmp_path: Path) -> None:
    files = ["--data", str(tmp_path / "data"), "--master-key", str(tmp_path / "master.key")]
    command = [str(server_python), "-m", "unseen_server", "--listen", "127.0.0.1:0", *files]
    vectors = np.eye(16, dtype=np.float32)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            with Client(address, home=tmp_path / "home", timeout_s=LONGEST_S) as client:
                client.create_collection("here", dimension=16)
                client.enrol_vectors("here", [str(row) for row in range(16)], vectors)
                assert client.search_vector("here", vectors[5], top_k=1)[0].id == "5"
        finally:
            server.terminate()
    assert server.returncode == 0
