"""A model is taken in whole, pinned, and the same on every device."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import numpy as np
import pytest

from tests.client.models.small_hub import COMMIT, REPOSITORY, SmallHub, left
from tests.core.embed.pulled.tiny_onnx import FILES, UPSTREAM, picture_twin, words_twin
from unseen.errors import (
    InvalidInput,
)
from unseen_client.models.inspect import check_model, told_of
from unseen_client.models.places import place_of, repositories_beside
from unseen_client.models.pull import Wish, pull
from unseen_client.models.shelf import ModelShelf

VISION = "onnx/vision_model.onnx"


def test_a_model_from_a_hub_is_pinned_to_its_commit_and_answers(take, shelf: ModelShelf, hub: SmallHub) -> None:
    held = take()
    assert held.entry.name == "tiny"
    told = told_of(held)
    assert (told["revision"], told["licence"], told["adapter"], told["dimension"]) == (COMMIT, "mit", "onnx-1", 16)
    assert told["origin"] == f"{hub.address}/{REPOSITORY}"
    assert {name: one.sha256 for name, one in held.manifest.files.items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()
    }
    pixels = np.random.default_rng(3).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    embedder = held.entry.load(1)
    np.testing.assert_allclose(embedder.image(pixels), picture_twin(pixels), atol=1e-6)
    np.testing.assert_allclose(embedder.text("red sea"), words_twin("red sea"), atol=1e-6)
    assert not any("README" in path for path in hub.asked)
    assert left(shelf) == [held.entry.model_id.replace(":", "@")]
    assert len(check_model(held)) == 3


def test_what_was_pulled_is_for_its_owner_alone(take, shelf: ModelShelf) -> None:
    take()
    for path in [shelf.folder, *shelf.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_same_model_has_the_same_id_from_hub_folder_and_address(take, hub, tmp_path, home) -> None:
    """And what one device pulled is what another can take over as it is: manifest, hashes, id."""
    first = take()
    folder = first.manifest.folder
    second = ModelShelf(home.with_name("second"))
    source, wish = place_of(str(folder), hub.address, Wish())
    over = pull(second, source, wish, repositories_beside(source, ""), lambda _: None)
    hub.answers = {
        f"/models/{path.relative_to(folder).as_posix()}": (200, {}, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }
    third = ModelShelf(home.with_name("third"))
    source, wish = place_of(f"{hub.address}/models/", "", Wish())
    fetched = pull(third, source, wish, repositories_beside(source, ""), lambda _: None)
    assert first.entry.model_id == over.entry.model_id == fetched.entry.model_id
    assert told_of(fetched) == told_of(first)


def test_a_folder_that_upstream_saved_is_described(take, tmp_path: Path) -> None:
    for name, data in UPSTREAM.items():
        (tmp_path / "Saved" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Saved" / name).write_bytes(data)
    held = take(tmp_path / "Saved", licence="CC0-1.0", revision="v3")
    told = told_of(held)
    assert (told["name"], told["revision"], told["licence"]) == ("saved", "v3", "CC0-1.0")
    assert str(tmp_path) not in str(told)


def test_the_same_model_again_is_fine_and_another_revision_stands_beside_it(take, shelf, hub) -> None:
    first = take()
    assert take(revision="main").entry.model_id == first.entry.model_id
    assert len(left(shelf)) == 1
    hub.repositories[REPOSITORY]["tokenizer.json"] += b" "
    second = take()
    assert second.entry.model_id != first.entry.model_id
    names = [one.entry.name for one in shelf.every()]
    assert sorted(names) == left(shelf)
    assert shelf.held(first.entry.model_id).entry.model_id == first.entry.model_id


@pytest.mark.parametrize("damage", ["changed file", "lost file", "changed manifest", "lost manifest"])
def test_a_damaged_model_is_mended_by_pulling_it_again(take, shelf: ModelShelf, damage: str) -> None:
    folder = take().manifest.folder
    path = folder / ("manifest.toml" if "manifest" in damage else VISION)
    if damage.startswith("lost"):
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"8", b"9"))
    again = take()
    assert again.manifest.folder == folder
    assert len(check_model(again)) == 3
    assert left(shelf) == [folder.name]


def test_a_text_half_is_fetched_from_the_repository_that_the_configuration_names(take, hub, tmp_path) -> None:
    told = (
        b'{"model_cfg": {"embed_dim": 24, "vision_cfg": {"image_size": 32}, "text_cfg": {"hf_model_name": "a/bert"}}}'
    )
    files = {"open_clip_config.json": told, "open_clip_model.safetensors": b"weights", "tokenizer.json": b"{}"}
    hub.repositories |= {"some/biomedclip": files, "a/bert": {"config.json": b'{"model_type": "bert"}'}}
    held = take("some/biomedclip")
    assert (held.manifest.folder / "text_config.json").read_bytes() == b'{"model_type": "bert"}'
    assert held.manifest.about["text_half"] == f"{hub.address}/a/bert {COMMIT}"
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    asked = len(hub.asked)
    with pytest.raises(InvalidInput, match=r"text_config\.json"):
        take(tmp_path, name="here")
    assert len(hub.asked) == asked
