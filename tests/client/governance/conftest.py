"""A collection with an agreement, on the real server, and a device that accepted it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.governance.written import terms
from unseen_client import Client
from unseen_client.keys.controller_keys import ControllerKeys


@pytest.fixture
def governed(client: Client, home: Path, name: str) -> Callable[..., str]:
    """Makes the test's collection with a policy of these terms; gives its name."""

    def make(**changes: Any) -> str:
        client.create_collection(name, dimension=16)
        ControllerKeys(home).make("controller")
        client.set_policy(name, terms(**changes))
        return name

    return make


@pytest.fixture
def vectors() -> np.ndarray:
    """Twelve unit vectors of dimension 16."""
    drawn = np.random.default_rng(5).standard_normal((12, 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
