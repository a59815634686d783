"""The client needs its own dependencies and no more: what an extra, the server, a bench or a test installs is missing.

A fresh interpreter in which no other package can be imported loads every module of the client, then prepares, encrypts
and decrypts; it de-identifies photographs, and a command that needs more says what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pydicom
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "examples/demo/photos"
NEED_AN_EXTRA = (
    "__main__",
    "_child",
    ".torch_training",
    ".gateway.node",
    ".gateway.contexts",
    ".gateway.pull",
    ".dicom.rendering",
)

MODULES = """
import importlib, pkgutil
import unseen_client
for module in pkgutil.walk_packages(unseen_client.__path__, "unseen_client."):
    if not module.name.endswith({need_an_extra!r}):
        importlib.import_module(module.name)
import numpy as np
from unseen.he.packing import Packing
from unseen.he.secret import PreparedQuery
from unseen.params import DEFAULT
packing = Packing(DEFAULT.ring_degree, 16, 16)
query, key = PreparedQuery.prepare(DEFAULT, packing).encrypt(np.arange(16))
print(len(query))
"""

NOISE = """
import tempfile
from pathlib import Path
import numpy as np
from unseen.errors import InvalidConfiguration
from unseen_client.privacy.book import Asked, PrivacyBook
from unseen.dp.privunit import PrivUnit
with tempfile.TemporaryDirectory() as folder:
    book = PrivacyBook(Path(folder) / "device")
    try:
        book.release(PrivUnit(8), Asked(bytes(16), bytes(32), [bytes(16)], np.ones((1, 16), np.float32), ["anna"]))
    except InvalidConfiguration as error:
        print(error)
    print("charged", book.report().device.spent.releases)
"""

COMMAND = "from unseen_client.cli import main; main()"


def of_the_client() -> set[str]:
    """Names of the distributions that `pip install unseen` brings."""
    found, looked_at = {"unseen"}, ["unseen"]
    while looked_at:
        for line in metadata.requires(looked_at.pop()) or []:
            needed = Requirement(line)
            name = canonicalize_name(needed.name)
            if name not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                found.add(name)
                looked_at.append(name)
    return found


@pytest.fixture(scope="module")
def others() -> list[str]:
    """Packages that can be imported here and not where only the client is installed."""
    ours = of_the_client()
    brought = metadata.packages_distributions().items()
    return [package for package, by in brought if not any(canonicalize_name(name) in ours for name in by)]


@pytest.fixture
def alone(others: list[str], tmp_path: Path):
    """Runs a program, with arguments, where only the client is installed; its child processes see no more than it."""
    (tmp_path / "hidden").mkdir()
    hidden = f"import sys\nfor name in {[*others, 'unseen_server']!r}:\n    sys.modules[name] = None\n"
    (tmp_path / "hidden" / "sitecustomize.py").write_text(hidden)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"UNSEEN_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "hidden")}

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_what_is_hidden_is_all_that_others_install(others: list[str]) -> None:
    assert {"pydicom", "torch", "numba", "cv2", "pyarrow", "requests", "keyring", "Crypto"} <= set(others)
    assert {"numpy", "PIL", "tenseal", "grpc", "typer", "onnxruntime"}.isdisjoint(others)


def test_the_client_loads_and_encrypts_without_what_others_install(alone) -> None:
    result = alone(MODULES.format(need_an_extra=NEED_AN_EXTRA))
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 0


def test_noise_that_cannot_be_drawn_says_what_to_install_and_charges_nothing(alone) -> None:
    result = alone(NOISE)
    assert result.returncode == 0, result.stderr
    assert 'pip install "unseen[noise]"' in result.stdout
    assert result.stdout.endswith("charged 0\n")


def test_a_photograph_is_cleaned_and_an_object_of_dicom_says_what_to_install(alone, tmp_path: Path) -> None:
    shutil.copy(PHOTOS / "tabby-cat.jpg", tmp_path / "cat.jpg")
    shutil.copy(Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm", tmp_path)
    cleaned = alone(COMMAND, "deid", "cat.jpg", "clean.jpg")
    assert cleaned.returncode == 0, cleaned.stderr
    assert (tmp_path / "clean.jpg").exists()
    refused = alone(COMMAND, "deid", "CT_small.dcm", "clean.dcm")
    assert refused.returncode != 0
    assert "unseen[deid]" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "clean.dcm").exists()


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("enrol", "photos", "rows.parquet"), "parquet"),
        (("enrol", "photos", "gate.mp4"), "video"),
        (("adapt", "out", "in", "--about", "nothing", "--epsilon", "8"), "train"),
        (("gateway", "pull", "--pacs", "http://127.0.0.1:1", "--query", "StudyDate=20260101"), "gateway"),
        (("keys", "protect", "keyring"), "keyring"),
        (("serve", "--data", "index", "--master-key", "key"), "server"),
        (("doctor", "--data", "index", "--master-key", "key"), "server"),
        (("demo",), "server"),
        (("eval", "labelled"), "server"),
    ],
)
def test_a_command_that_lacks_an_extra_names_it(alone, tmp_path: Path, arguments: tuple[str, ...], extra: str) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    (tmp_path / "gate.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    for label, name in (("cats", "tabby-cat.jpg"), ("dogs", "dogs-at-the-window.jpg")):
        (tmp_path / "labelled" / label).mkdir(parents=True)
        shutil.copy(PHOTOS / name, tmp_path / "labelled" / label)
    result = alone(COMMAND, *arguments)
    assert result.returncode != 0
    assert f"unseen[{extra}]" in result.stderr
    assert "Traceback" not in result.stderr
