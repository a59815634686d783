"""Every import contract is tried by breaking it: a violation planted in a copy of the sources must be reported.

The run-time twin (a fresh interpreter in which every server module is imported) is tests/server/test_import_rule.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE_ROOTS = ("core", "client", "server")
GENERATED = "v1"

VIOLATIONS = [
    ("layers", "core/unseen/types.py", "import unseen.wire"),
    ("layers", "core/unseen/errors.py", "import unseen.types"),
    ("layers", "core/unseen/params.py", "import unseen.entropy"),
    ("layers", "core/unseen/entropy.py", "import unseen.envelope"),
    ("layers", "core/unseen/he/packing.py", "import unseen.store"),
    ("layers", "core/unseen/store/planted.py", "import unseen.he.packing"),
    ("layers", "core/unseen/deid/planted.py", "import unseen.embed"),
    ("layers", "core/unseen/governance/planted.py", "import unseen.store.interface"),
    ("layers", "core/unseen/wire.py", "import unseen_client"),
    ("layers", "client/unseen_client/planted.py", "import unseen_server"),
    ("layers", "server/unseen_server/planted.py", "import unseen_client"),
    ("trust", "server/unseen_server/planted.py", "import unseen.he.secret"),
    ("trust", "server/unseen_server/planted.py", "import unseen.he.owner.secret"),
    ("trust", "server/unseen_server/planted.py", "import unseen.deid"),
    ("trust", "server/unseen_server/planted.py", "import unseen.embed"),
    ("trust", "server/unseen_server/planted.py", "import unseen.weights"),
    ("trust", "server/unseen_server/planted.py", "import tenseal.sealapi"),
    ("trust", "server/unseen_server/planted.py", "import torch"),
    ("trust", "server/unseen_server/planted.py", "import opacus"),
    ("training", "client/unseen_client/planted.py", "import torch"),
    ("training", "client/unseen_client/adapt/planted.py", "from opacus import PrivacyEngine"),
    ("training", "core/unseen/embed/planted.py", "import torch"),
    ("trust", "server/unseen_server/planted.py", "from PIL import Image"),
    ("trust", "server/unseen_server/planted.py", "import cv2"),
    ("trust", "server/unseen_server/planted.py", "import onnxruntime"),
    ("trust", "core/unseen/wire.py", "import unseen.he.secret"),
    ("seal", "client/unseen_client/planted.py", "import tenseal"),
    ("seal", "core/unseen/he/scan.py", "import tenseal.sealapi"),
    ("border", "core/unseen/he/message.py", "from unseen.v1 import search_pb2"),
    ("border", "core/unseen/store/planted.py", "import google.protobuf"),
    ("border", "core/unseen/governance/planted.py", "from unseen.v1 import governance_pb2"),
    ("network", "core/unseen/store/planted.py", "import grpc"),
    ("network", "core/unseen/governance/planted.py", "import socket"),
    ("network", "core/unseen/wire.py", "import grpc"),
]


@pytest.fixture
def copy_of_sources(tmp_path: Path) -> Path:
    """The Python files of the three source roots and the contracts, free to be broken."""
    for source_root in SOURCE_ROOTS:
        for path in (ROOT / source_root).rglob("*.py"):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the sources under ``root``, not over the installed ones."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    for contract in contracts:
        command += ["--contract", contract]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(root / folder) for folder in SOURCE_ROOTS)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def contracts() -> dict[str, dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["id"]: contract for contract in settings["contracts"]}


def test_the_sources_keep_every_contract(copy_of_sources: Path) -> None:
    result = lint_imports(copy_of_sources)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("contract", "path", "line"), VIOLATIONS)
def test_a_planted_violation_breaks_its_contract(copy_of_sources: Path, contract: str, path: str, line: str) -> None:
    planted = copy_of_sources / path
    with planted.open("a") as file:
        file.write(f"\n{line}\n")
    if path.startswith("core/unseen/wire"):
        (copy_of_sources / "server/unseen_server/planted.py").write_text("import unseen.wire\n")
    result = lint_imports(copy_of_sources, contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout, result.stdout + result.stderr


def test_every_contract_is_tried() -> None:
    assert {contract for contract, _, _ in VIOLATIONS} == set(contracts())


def test_every_room_of_core_stands_in_the_contracts() -> None:
    rooms = {path.stem for path in (ROOT / "core/unseen").iterdir() if path.suffix == ".py" or path.is_dir()}
    rooms = {f"unseen.{room}" for room in rooms - {"__init__", "__pycache__", GENERATED}}
    layers = {room.strip(" ()") for layer in contracts()["layers"]["layers"] for room in layer.split("|")}
    assert rooms <= layers
    assert rooms - {"unseen.wire"} <= set(contracts()["border"]["source_modules"])
    assert rooms <= set(contracts()["network"]["source_modules"])


@pytest.mark.parametrize("package", ["he", "store", "deid", "dp", "embed", "governance"])
def test_room_inits_are_empty_so_that_one_file_does_not_load_another(package: str) -> None:
    assert (ROOT / "core/unseen" / package / "__init__.py").read_text().strip() == ""
