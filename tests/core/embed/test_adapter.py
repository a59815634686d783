"""Adapters: pictures move as the formula says, words stay, files are pinned, and hostile ones are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from unseen.embed.adapter import (
    FORMAT,
    LARGEST_FILE_BYTES,
    AdaptedEmbedder,
    Adapter,
    adapt_rows,
    adapter_entry,
    read_adapter,
    write_adapter,
)
from unseen.embed.bundled import bundled_entry
from unseen.embed.model import Facet
from unseen.embed.registry import default_registry
from unseen.errors import IntegrityError, InvalidVector, ModelMismatch

WEIGHT = np.float32(np.sqrt(0.5))


def made_up(rank: int = 3, seed: int = 0, model: str | None = None) -> Adapter:
    random = np.random.default_rng(seed)
    down, up = random.standard_normal((rank, 512)), random.standard_normal((rank, 384))
    return Adapter(model or bundled_entry().model_id, down.astype(np.float32), up.astype(np.float32), "{}")


def rows(count: int = 5, seed: int = 1) -> np.ndarray:
    parts = np.random.default_rng(seed).standard_normal((count, 512))
    for part in (slice(0, 128), slice(128, 512)):
        parts[:, part] *= WEIGHT / np.linalg.norm(parts[:, part], axis=1, keepdims=True)
    return parts.astype(np.float32)


def moved_by_hand(adapter: Adapter, row: np.ndarray) -> np.ndarray:
    """The formula of the docstring, one number at a time, in float64."""
    semantic = [float(x) / float(WEIGHT) for x in row[128:]]
    for r in range(len(adapter.down)):
        found = sum(float(w) * float(x) for w, x in zip(adapter.down[r], row, strict=True))
        semantic = [s + found * float(u) for s, u in zip(semantic, adapter.up[r], strict=True)]
    length = sum(s * s for s in semantic) ** 0.5
    return np.array([*map(float, row[:128]), *(float(WEIGHT) * s / length for s in semantic)])


def test_rows_move_as_the_formula_says() -> None:
    adapter, before = made_up(), rows()
    after = adapt_rows(adapter, before, float(WEIGHT))
    assert after.dtype == np.float32
    for row, moved in zip(before, after, strict=True):
        assert np.allclose(moved, moved_by_hand(adapter, row), atol=1e-5)


def test_a_moved_row_is_a_unit_vector_whose_visual_part_stayed() -> None:
    after = adapt_rows(made_up(), rows(), float(WEIGHT))
    assert np.allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    assert np.array_equal(after[:, :128], rows()[:, :128])


def test_an_adapter_of_zeros_changes_nothing() -> None:
    adapter = Adapter(bundled_entry().model_id, np.zeros((2, 512), np.float32), made_up(2).up, "{}")
    assert np.allclose(adapt_rows(adapter, rows(), float(WEIGHT)), rows(), atol=1e-6)


def test_a_picture_left_without_direction_is_refused() -> None:
    row = np.zeros((1, 512), np.float32)
    row[0, 0] = row[0, 128] = WEIGHT
    down, up = np.zeros((1, 512), np.float32), np.zeros((1, 384), np.float32)
    down[0, 0], up[0, 0] = -1 / WEIGHT, 1
    adapter = Adapter("m", down, up, "{}")
    with pytest.raises(InvalidVector, match="adapter"):
        adapt_rows(adapter, row, float(WEIGHT))


class Still:
    """A model of which a picture is its first row, and words are the second."""

    model_id, dimension, text_score_scale = "still", 512, float(1 / WEIGHT)
    facets: Mapping[str, Facet] = {"all": Facet(0, 512, 1.0)}

    def image(self, pixels, *, people=0):
        return rows()[people]

    def text(self, words):
        return rows()[1]

    def close(self):
        pass


def test_pictures_move_and_words_stay_in_the_same_space() -> None:
    adapter = made_up()
    adapted = AdaptedEmbedder(Still(), adapter, "id")
    moved = adapted.image(np.zeros((1, 1, 3), np.uint8), people=2)
    assert np.allclose(moved, adapt_rows(adapter, rows(), float(WEIGHT))[2], atol=1e-6)
    assert np.array_equal(adapted.text("a dog"), rows()[1])
    assert (adapted.model_id, adapted.dimension, adapted.text_score_scale) == ("id", 512, Still.text_score_scale)
    assert adapted.facets == Still.facets


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was_written_and_is_the_same_bytes_every_time() -> None:
    adapter = made_up()
    data = write_adapter(adapter)
    back = read_adapter(data)
    assert data == write_adapter(adapter)
    assert np.array_equal(back.down, adapter.down)
    assert np.array_equal(back.up, adapter.up)
    assert (back.base_model_id, back.card) == (adapter.base_model_id, "{}")


def test_format_tripwire() -> None:
    """A change here makes collections refuse the adapters that they were made with."""
    adapter = Adapter("model", np.ones((1, 512), np.float32), np.ones((1, 384), np.float32), '{"about":"ones"}')
    assert hashlib.sha256(write_adapter(adapter)).hexdigest()[:16] == "feac744667b163c4"


def test_the_hash_of_the_file_names_the_model() -> None:
    data = write_adapter(made_up())
    entry = adapter_entry(data)
    prefix = hashlib.sha256(data).hexdigest()[:12]
    assert entry.name == f"bundled+adapter:{prefix}"
    assert entry.model_id == f"{bundled_entry().model_id}+adapter:{prefix}"
    registry = default_registry().adding(entry)
    assert registry.entry_with_id(entry.model_id) is entry
    with pytest.raises(ModelMismatch, match="unseen adapters add"):
        default_registry().entry_with_id(entry.model_id)
    assert adapter_entry(write_adapter(made_up(seed=1))).name != entry.name


def test_an_adapter_of_another_model_is_refused() -> None:
    with pytest.raises(ModelMismatch, match="bundled-0:abc"):
        adapter_entry(write_adapter(made_up(model="bundled-0:abc")))


def file_of(tensors: dict[str, np.ndarray], **metadata: str) -> bytes:
    return bytes(save(tensors, {"unseen": json.dumps({"format": FORMAT, "model": "m", "card": "{}"} | metadata)}))


DOWN, UP = np.ones((2, 512), np.float32), np.ones((2, 384), np.float32)
HOSTILE = {
    "empty": b"",
    "not the format": b"PK\x03\x04" + bytes(100),
    "no metadata": bytes(save({"down": DOWN, "up": UP})),
    "another format": file_of({"down": DOWN, "up": UP}, format="unseen-adapter-2"),
    "a tensor too many": file_of({"down": DOWN, "up": UP, "more": UP}),
    "a tensor too few": file_of({"down": DOWN}),
    "ranks differ": file_of({"down": DOWN, "up": UP[:1]}),
    "rank too large": file_of({"down": np.ones((257, 512), np.float32), "up": np.ones((257, 384), np.float32)}),
    "rank zero": file_of({"down": DOWN[:0], "up": UP[:0]}),
    "wrong width": file_of({"down": UP, "up": UP}),
    "one dimension": file_of({"down": DOWN[0], "up": UP[0]}),
    "float64": file_of({"down": DOWN.astype(np.float64), "up": UP}),
    "not finite": file_of({"down": DOWN * np.float32(np.nan), "up": UP}),
    "far too large": file_of({"down": DOWN, "up": UP * np.float32(1e9)}),
    "too many bytes": file_of({"down": DOWN, "up": UP}, card="x" * LARGEST_FILE_BYTES),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_adapter_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="unseen adapt"):
        read_adapter(data)


@given(st.data())
def test_a_damaged_file_is_refused_or_another_model(data: st.DataObject) -> None:
    good = write_adapter(made_up(1))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    try:
        entry = adapter_entry(bytes(bad))
    except (IntegrityError, ModelMismatch):
        return
    assert entry.name != adapter_entry(good).name


@given(st.integers(0, 400))
def test_a_cut_file_is_refused(length: int) -> None:
    good = write_adapter(made_up(1))
    with pytest.raises(IntegrityError):
        read_adapter(good[: len(good) - 1 - length])


def test_a_header_that_names_more_than_there_is_takes_no_memory() -> None:
    header = json.dumps(
        {
            "__metadata__": {"unseen": json.dumps({"format": FORMAT, "model": "m", "card": "{}"})},
            "down": {"dtype": "F32", "shape": [1 << 40, 512], "data_offsets": [0, 1 << 51]},
        }
    ).encode()
    with pytest.raises(IntegrityError):
        read_adapter(len(header).to_bytes(8, "little") + header)
