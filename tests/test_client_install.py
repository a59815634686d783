"""The client needs its own dependencies and no more: what only the server, the benches or the tests install is missing.

A fresh interpreter in which those packages cannot be imported loads every module of the client, then prepares, encrypts
and decrypts.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NOT_THE_CLIENTS = (
    "numba",
    "llvmlite",
    "apsw",
    "grpc_health",
    "torch",
    "opacus",
    "transformers",
    "open_clip",
    "faiss",
    "scipy",
    "unseen_server",
)

PROGRAM = """
import importlib, pkgutil, sys
for name in {missing!r}:
    sys.modules[name] = None
import unseen_client
for module in pkgutil.walk_packages(unseen_client.__path__, "unseen_client."):
    if not module.name.endswith(("__main__", "_child", ".torch_training")):
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
import sys, tempfile
from pathlib import Path
for name in {missing!r}:
    sys.modules[name] = None
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


def test_noise_that_cannot_be_drawn_says_what_to_install_and_charges_nothing(environment: dict[str, str]) -> None:
    program = NOISE.format(missing=NOT_THE_CLIENTS)
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert 'pip install "unseen[noise]"' in result.stdout
    assert result.stdout.endswith("charged 0\n")
