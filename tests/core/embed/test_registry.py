from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from unseen.embed.model import Facet, Float32Vector, ModelEntry, Registry
from unseen.embed.registry import default_registry
from unseen.errors import InvalidInput, ModelMismatch
from unseen.pixels import Pixels


class Constant:
    """The smallest model there is."""

    model_id = "constant-1:00"
    dimension = 8
    text_score_scale = 1.0
    facets: Mapping[str, Facet] = {}

    def image(self, pixels: Pixels, *, people: int = 0) -> Float32Vector:
        return np.eye(1, 8, dtype=np.float32)[0]

    def text(self, words: str) -> Float32Vector:
        return np.eye(1, 8, dtype=np.float32)[0]

    def close(self) -> None:
        pass


ENTRY = ModelEntry("constant", Constant.model_id, Constant.dimension, lambda _: Constant())


def test_the_bundled_model_is_there_without_being_loaded() -> None:
    registry = default_registry()
    assert registry.names() == ("bundled",)
    entry = registry.entry("bundled")
    assert entry.dimension == 512
    assert entry.model_id.startswith("bundled-2:")
    assert registry.load("bundled").model_id == entry.model_id


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelMismatch, match="bundled, constant"):
        default_registry().adding(ENTRY).entry("clip")


def test_a_collection_of_another_model_is_refused() -> None:
    registry = default_registry()
    assert registry.entry_with_id(registry.entry("bundled").model_id).name == "bundled"
    with pytest.raises(ModelMismatch, match="constant-1:00"):
        registry.entry_with_id(Constant.model_id)


def test_another_model_is_added_to_a_new_registry() -> None:
    registry = default_registry()
    larger = registry.adding(ENTRY)
    assert registry.names() == ("bundled",)
    assert larger.load("constant").dimension == 8
    with pytest.raises(InvalidInput, match="twice"):
        larger.adding(ENTRY)


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(ModelMismatch):
        Registry([]).entry("bundled")
