"""In CI a skipped test is a failure. Tried on the real hooks, in a pytest of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS_ONE_TEST = "import pytest\n\n\ndef test_never_tried():\n    pytest.skip('no such machine')\n"
SKIPS_BY_MARK = "import pytest\n\n\n@pytest.mark.skip(reason='later')\ndef test_never_tried():\n    pass\n"
SKIPS_ITS_FILE = "import pytest\n\npytest.importorskip('no_such_package')\n\n\ndef test_never_tried():\n    pass\n"
EXPECTS_FAILURE = "import pytest\n\n\n@pytest.mark.xfail(reason='known')\ndef test_tried():\n    assert False\n"
PASSES = "def test_tried():\n    pass\n"


def run_pytest(folder: Path, source: str, ci: str | None) -> int:
    """Exit code of pytest over one file, with the repository's root conftest beside it."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder / "conftest.py")
    (folder / "test_planted.py").write_text(source)
    environment = {key: value for key, value in os.environ.items() if key not in {"CI", "PYTEST_XDIST_WORKER"}}
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)  # the conftest imports what stands beside it
    if ci is not None:
        environment["CI"] = ci
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


@pytest.mark.parametrize("source", [SKIPS_ONE_TEST, SKIPS_BY_MARK, SKIPS_ITS_FILE])
def test_a_skip_fails_in_ci(tmp_path: Path, source: str) -> None:
    assert run_pytest(tmp_path, source, ci="true") in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}


@pytest.mark.parametrize("source", [SKIPS_ONE_TEST, SKIPS_BY_MARK])
def test_a_skip_passes_outside_ci(tmp_path: Path, source: str) -> None:
    assert run_pytest(tmp_path, source, ci=None) == 0


@pytest.mark.parametrize("source", [PASSES, EXPECTS_FAILURE])
def test_what_was_tried_passes_in_ci(tmp_path: Path, source: str) -> None:
    assert run_pytest(tmp_path, source, ci="true") == 0
