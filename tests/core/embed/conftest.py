"""The bundled model, opened once for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unseen.embed.bundled import FOLDER, BundledEmbedder
from unseen.weights import read_manifest


@pytest.fixture(scope="module")
def model() -> Iterator[BundledEmbedder]:
    opened = BundledEmbedder(read_manifest(FOLDER))
    yield opened
    opened.close()
