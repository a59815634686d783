"""A hub on loopback, a device's models, and a pull as the command does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.models.small_hub import REPOSITORY, SmallHub, answering
from tests.core.embed.pulled.tiny_onnx import UPSTREAM
from unseen_client.models.places import place_of, repositories_beside
from unseen_client.models.pull import Wish, pull
from unseen_client.models.shelf import HeldModel, ModelShelf


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with answering(SmallHub({REPOSITORY: dict(UPSTREAM)})) as running:
        yield running


@pytest.fixture
def shelf(home: Path) -> ModelShelf:
    return ModelShelf(home)


@pytest.fixture
def take(hub: SmallHub, shelf: ModelShelf) -> Callable[..., HeldModel]:
    """Pull as the command does."""

    def taken(what: str | Path = REPOSITORY, **wish: object) -> HeldModel:
        source, wanted = place_of(str(what), hub.address, Wish(**wish))  # type: ignore[arg-type]
        return pull(shelf, source, wanted, repositories_beside(source, hub.address), lambda _: None)

    return taken
