"""What the repository promises about itself: sizes, generated code, the wire contract, declared dependencies."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "core/unseen/v1"
SOURCE_ROOTS = ("core", "client", "server")
OURS = {"unseen", "unseen_client", "unseen_server", "bench", "tests", "conftest"}

MOST_LINES = 500
"""A longer hand-written file holds more than one idea."""
MOST_FILE_BYTES = 12_000_000
"""The bundled model is the largest file there may be."""
MOST_IMAGE_BYTES = 3_500_000
"""All committed photographs together."""
DOCUMENTS_AT_THE_TOP = ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")


@cache
def tracked() -> list[Path]:
    """Every committed or about-to-be-committed file."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in sorted(set(listed.split("\0")) - {""}) if (path := ROOT / name).is_file()]


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def parse(lines: list[str]) -> dict[str, Requirement]:
    wanted = (line.split("#")[0].strip() for line in lines)
    requirements = (Requirement(line) for line in wanted if line)
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def declared(*extras: str) -> dict[str, Requirement]:
    """The base dependencies and those of some extras, by canonical name."""
    lines = list(project()["dependencies"])
    for extra in extras:
        lines += project()["optional-dependencies"][extra]
    return parse(lines)


def imported_by(folder: str) -> dict[str, Path]:
    """Top-level names of other people's packages that the files of a folder import, each with one such file."""
    names: dict[str, Path] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found = [node.module]
            names |= {name.split(".")[0]: path for name in found}
    return {name: path for name, path in names.items() if name not in sys.stdlib_module_names | OURS}


# ---- sizes ----------------------------------------------------------------------------------------------------------


def test_every_hand_written_file_is_short_enough_to_hold_one_idea() -> None:
    sources = [path for path in tracked() if path.suffix in {".py", ".proto"} and GENERATED not in path.parents]
    too_long = {
        str(path.relative_to(ROOT)): n for path in sources if (n := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert too_long == {}


def test_no_file_is_larger_than_the_bundled_model_may_be() -> None:
    too_large = {
        str(path.relative_to(ROOT)): size for path in tracked() if (size := path.stat().st_size) > MOST_FILE_BYTES
    }
    assert too_large == {}


def test_the_committed_photographs_stay_small() -> None:
    photographs = [path for path in tracked() if path.suffix.lower() in {".jpg", ".jpeg", ".png"}]
    assert sum(path.stat().st_size for path in photographs) <= MOST_IMAGE_BYTES


def test_no_folder_is_named_for_nothing() -> None:
    nothing = {"utils", "helpers", "common", "manager", "misc"}
    assert [
        path for path in tracked() if nothing & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ] == []


def test_the_documents_stand_at_the_top() -> None:
    assert [name for name in DOCUMENTS_AT_THE_TOP if not (ROOT / name).read_text().strip()] == []


def test_ci_runs_what_people_run() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines[-1] == "make system check test"
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"demo", "test", "check", "bench", "evidence", "system", "proto", "clean"} <= targets


@pytest.mark.parametrize("package", ["core/unseen", "client/unseen_client", "server/unseen_server"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_no_room_of_both_sides_has_a_clock() -> None:
    clock = re.compile(r"^\s*(?:import time\b|from time import)|\.(?:now|utcnow|today)\(", re.MULTILINE)
    assert [path for path in (ROOT / "core/unseen").rglob("*.py") if clock.search(path.read_text())] == []
    assert clock.search((ROOT / "client/unseen_client/deid/attributes_child.py").read_text())  # the search is not blind


def test_the_blocking_calls_are_those_for_asyncio() -> None:
    command = [sys.executable, "scripts/blocking_calls.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- the contract on the wire ---------------------------------------------------------------------------------------


def test_generated_code_is_what_the_contract_generates(tmp_path: Path) -> None:
    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    outputs = [f"--{kind}={tmp_path}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", *outputs, *protos]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "unseen/v1").iterdir()}
    committed = {path.name: path.read_bytes() for path in GENERATED.glob("*_pb2*")}
    assert sorted(fresh) == sorted(committed), "run `make proto`"
    assert [name for name in fresh if fresh[name] != committed[name]] == [], "run `make proto`"


def buf(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("buf")), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_contract_breaks_no_client_of_the_baseline() -> None:
    result = buf("breaking", "--against", "proto/baseline.binpb")
    assert result.returncode == 0, result.stdout


def test_a_deleted_field_is_reported_as_breaking(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    types = tmp_path / "proto/unseen/v1/types.proto"
    types.write_text(types.read_text().replace("  uint32 dimension = 3;", ""))
    result = buf("breaking", "--against", "proto/baseline.binpb", cwd=tmp_path)
    assert "dimension" in result.stdout
    assert result.returncode != 0


# ---- dependencies ---------------------------------------------------------------------------------------------------


SERVERS = ("server", "postgres", "kms", "pkcs11")
ON_DEVICE = ("deid", "gateway", "keyring", "shares", "parquet", "video", "train")


def test_every_dependency_is_bounded_below_and_above() -> None:
    every = declared(*project()["optional-dependencies"])
    operators = {name: {part.operator for part in requirement.specifier} for name, requirement in every.items()}
    assert [name for name, found in operators.items() if found != {">=", "<"} and found != {"=="}] == []


def test_the_tested_versions_are_within_the_bounds() -> None:
    pins = parse((ROOT / "constraints/tested.txt").read_text().splitlines())
    extras = ("client", *SERVERS, *ON_DEVICE, "noise", "languages", "models-transformers", "models-open-clip")
    wanted = declared(*extras, "fuzz", "dev")
    missing = sorted(set(wanted) - set(pins))
    outside = [
        name
        for name in wanted
        if name in pins and not wanted[name].specifier.contains(next(iter(pins[name].specifier)).version)
    ]
    assert (missing, outside) == ([], [])


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("client", ON_DEVICE),
        ("core", ("server", "deid")),
        ("server", SERVERS),
        ("tests", (*SERVERS, *ON_DEVICE, "languages", "models-open-clip", "dev")),
        ("bench", ("server", "deid", "gateway", "train", "dev", "fuzz")),
        ("examples", ("server", "deid")),
    ],
)
def test_every_imported_package_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    providers = packages_distributions()
    known = set(declared(*extras))
    strangers = {
        name: str(path.relative_to(ROOT))
        for name, path in imported_by(folder).items()
        # What is not installed has no provider: a fuzzer, that `make test` does without, is called as it is imported.
        if not {canonicalize_name(provider) for provider in providers.get(name, [name])} & known
    }
    assert strangers == {}


def test_the_server_list_is_part_of_the_declared_dependencies() -> None:
    listed = parse((ROOT / "requirements/server.txt").read_text().splitlines())
    known = declared("server")
    assert {name: str(line) for name, line in listed.items()} == {name: str(known[name]) for name in listed}


def test_every_dependency_has_its_line_in_the_documents() -> None:
    text = (ROOT / "docs/dependencies.md").read_text()
    described = {canonicalize_name(name) for name in re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE)}
    wanted = set(declared(*project()["optional-dependencies"]))
    assert (sorted(wanted - described), sorted(described - wanted - {"hatchling"})) == ([], [])
