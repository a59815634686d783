from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def site_key() -> bytes:
    """Any key will do where no value is expected; known answers state their own."""
    return bytes(range(32))
