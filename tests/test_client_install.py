"""The client needs its own dependencies and no more: what only the server, the benches or the tests install is missing.

A fresh interpreter in which those packages cannot be imported loads every module of the client, then prepares, encrypts
and decrypts.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NOT_THE_CLIENTS = ("numba", "llvmlite", "apsw", "grpc_health", "torch", "opacus", "faiss", "scipy", "unseen_server")

PROGRAM = """
import importlib, pkgutil, sys
for name in {missing!r}:
    sys.modules[name] = None
import unseen_client
for module in pkgutil.walk_packages(unseen_client.__path__, "unseen_client."):
    if not module.name.endswith(("__main__", "_child")):
        importlib.import_module(module.name)
import numpy as np
from unseen.he.packing import Packing
from unseen.he.secret import PreparedQuery
from unseen.params import DEFAULT
packing = Packing(DEFAULT.ring_degree, 16, 16)
query, key = PreparedQuery.prepare(DEFAULT, packing).encrypt(np.arange(16))
print(len(query))
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def test_the_client_loads_and_encrypts_without_what_others_install(environment: dict[str, str]) -> None:
    program = PROGRAM.format(missing=NOT_THE_CLIENTS)
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 0
