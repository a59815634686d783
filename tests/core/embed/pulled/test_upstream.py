"""Pulled models answer as their own libraries do: the same files, the same picture, the same words, to 1e-5."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.core.embed.pulled.folders import laid_out, model_folder
from tests.core.embed.pulled.samples import CHINESE, WORDS, pictures
from unseen.embed.model import Embedder
from unseen.embed.pulled.embedder import pulled_entry
from unseen.errors import InvalidConfiguration, InvalidInput
from unseen.weights import read_manifest

if TYPE_CHECKING:
    from tests.core.embed.pulled.stand_ins import Upstream

TOLERANCE = 1e-5
KINDS = ["onnx", "clip", "siglip", "chinese_clip", "ViT-B-32", "MobileCLIP2", "SigLIP2", "BiomedCLIP"]
POOLINGS = ["mean", "cls", "max"]


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, whatever a configuration names: to look up a host's address, or to connect, fails the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def saved(folder: Path, kind: str) -> Upstream:
    """A stand-in of a kind, or of a sentence model with a pooling; torch and all are loaded here, not before."""
    from tests.core.embed.pulled.onnx_stand_in import onnx_stand_in
    from tests.core.embed.pulled.open_clip_stand_ins import OPEN_CLIP, open_clip_stand_in
    from tests.core.embed.pulled.stand_ins import sentence_stand_in, transformers_stand_in

    assert set(OPEN_CLIP) < set(KINDS)
    if kind == "onnx":
        return onnx_stand_in(folder)
    if kind in POOLINGS:
        return sentence_stand_in(folder, kind)
    return open_clip_stand_in(folder, kind) if kind in OPEN_CLIP else transformers_stand_in(folder, kind)


@pytest.fixture(scope="module")
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Upstream, Embedder]]:
    """A stand-in as upstream sees it, and as Unseen does."""
    folder = tmp_path_factory.mktemp("stand-in")
    upstream = saved(folder / "upstream", request.param)
    embedder = pulled_entry(model_folder(upstream.folder, folder / "ours")).load(1)
    yield upstream, embedder
    embedder.close()


@pytest.mark.parametrize("both", KINDS, indirect=True)
def test_a_picture_has_upstreams_vector(both: tuple[Upstream, Embedder]) -> None:
    upstream, embedder = both
    for pixels in pictures():
        vector = embedder.image(pixels)
        assert vector.shape == (embedder.dimension,)
        np.testing.assert_allclose(vector, upstream.picture(pixels), atol=TOLERANCE)


@pytest.mark.parametrize("both", KINDS, indirect=True)
def test_words_have_upstreams_vector(both: tuple[Upstream, Embedder]) -> None:
    upstream, embedder = both
    found = []
    for words in [*WORDS, *CHINESE, "x " * 100]:
        found.append(embedder.text(words))
        np.testing.assert_allclose(found[-1], upstream.words(words), atol=TOLERANCE)
    assert np.abs(found[0] - found[1]).max() > 0.01
    with pytest.raises(InvalidInput, match="empty"):
        embedder.text("  ")


def test_a_model_that_the_library_cannot_build_is_told_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    upstream = saved(tmp_path / "upstream", "MobileCLIP2").folder
    told = json.loads((upstream / "open_clip_config.json").read_text())
    told["model_cfg"]["vision_cfg"]["timm_model_name"] = "no_such_network"
    (upstream / "open_clip_config.json").write_text(json.dumps(told))
    caplog.clear()
    with pytest.raises(InvalidConfiguration, match=r"open_clip-1 ended with RuntimeError"):
        pulled_entry(model_folder(upstream, tmp_path / "ours")).load(1).text("a dog")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_code_that_a_configuration_names_is_neither_fetched_nor_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer "of its own": transformers would ask on the terminal whether to run it, and some say yes."""
    upstream = saved(tmp_path / "upstream", "BiomedCLIP")
    before = pulled_entry(model_folder(upstream.folder, tmp_path / "before")).load(1).text("a dog")
    told = json.loads((upstream.folder / "tokenizer_config.json").read_text())
    told |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": [None, "somebody/evil--code.Evil"]}}
    (upstream.folder / "tokenizer_config.json").write_text(json.dumps(told))
    asked = []

    def yes(*question: object) -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr("builtins.input", yes)
    after = pulled_entry(model_folder(upstream.folder, tmp_path / "after")).load(1).text("a dog")
    np.testing.assert_array_equal(after, before)
    assert asked == []


def test_a_manifest_cannot_bring_what_describing_refuses(tmp_path: Path) -> None:
    upstream = saved(tmp_path / "upstream", "BiomedCLIP").folder
    changes: dict[str, dict[str, Any]] = {
        "open_clip_config.json": {"tokenizer_kwargs": {"trust_remote_code": True}},
        "text_config.json": {"model_type": "vision-encoder-decoder"},
    }
    for name, change in changes.items():
        folder = model_folder(upstream, tmp_path / name)
        manifest = read_manifest(folder)
        files = {file: (folder / file).read_bytes() for file in manifest.files}
        told = json.loads(files[name])
        (told["model_cfg"]["text_cfg"] if name.startswith("open") else told).update(change)
        made = laid_out(tmp_path / f"made-{name}", dict(manifest.recipe), {**files, name: json.dumps(told).encode()})
        with pytest.raises(InvalidInput, match=r"trust_remote_code|vision-encoder-decoder"):
            pulled_entry(made).load(1).text("a dog")


@pytest.mark.parametrize("kind", ["clip", "BiomedCLIP", "mean"])
def test_a_manifest_cannot_bring_a_network_too_large_to_build(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "upstream"
    upstream = saved(folder, kind)
    good = model_folder(upstream.folder, tmp_path / "ours")
    manifest = read_manifest(good)
    for name in {"config.json", "open_clip_config.json", "text_config.json"} & set(manifest.files):
        files = {file: (good / file).read_bytes() for file in manifest.files}
        told = json.loads(files[name]) | {"num_hidden_layers": 100_000}
        made = laid_out(tmp_path / f"made-{name}", dict(manifest.recipe), {**files, name: json.dumps(told).encode()})
        with pytest.raises(InvalidInput, match="100000 layers"):
            pulled_entry(made).load(1).text("a dog")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_sentence_has_sentence_transformers_vector(pooling: str, tmp_path: Path) -> None:
    upstream = saved(tmp_path / "upstream", pooling)
    embedder = pulled_entry(model_folder(upstream.folder, tmp_path / "ours")).load(1)
    for words in [*WORDS, "x " * 100]:
        np.testing.assert_allclose(embedder.text(words), upstream.words(words), atol=TOLERANCE)
    with pytest.raises(InvalidConfiguration, match="reads no pictures"):
        embedder.image(pictures()[0])
