"""The server cannot decrypt, see an image or run a model: none of the code for it is in its process.

The run-time twin of the import contracts: what import-linter reads off the source, this sees happen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "unseen.deid",
    "unseen.embed",
    "unseen.he.owner.secret",
    "unseen.he.secret",
    "unseen_client",
    "tenseal",
    "torch",
    "torchvision",
    "opacus",
    "onnxruntime",
    "tokenizers",
    "PIL",
    "cv2",
}

IMPORT_EVERY_SERVER_MODULE = """
import importlib, json, pkgutil, sys
import unseen_server
names = [module.name for module in pkgutil.walk_packages(unseen_server.__path__, "unseen_server.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted(sys.modules)}))
"""


def loaded_by(program: str) -> dict[str, list[str]]:
    roots = ":".join(str(ROOT / folder) for folder in ("core", "client", "server"))
    result = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": roots}, capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(result.stdout)
    return found


def forbidden_among(modules: list[str]) -> set[str]:
    return {name for name in FORBIDDEN if any(module == name or module.startswith(f"{name}.") for module in modules)}


def test_no_server_module_brings_a_forbidden_one_in() -> None:
    found = loaded_by(IMPORT_EVERY_SERVER_MODULE)
    sources = set((ROOT / "server/unseen_server").rglob("*.py"))
    assert len(found["imported"]) == len(sources) - 1, "the package itself is where the walk begins"
    assert "unseen.he.scan" in found["loaded"]
    assert forbidden_among(found["loaded"]) == set()


def test_the_rule_notices_what_it_forbids() -> None:
    found = loaded_by("import json, sys, unseen.he.secret\nprint(json.dumps({'loaded': sorted(sys.modules)}))")
    assert forbidden_among(found["loaded"]) >= {"unseen.he.secret", "tenseal"}
