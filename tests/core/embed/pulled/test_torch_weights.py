"""Weights are data: safetensors, or a pickle out of which torch takes tensors and nothing else."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from unseen.embed.pulled.torch_weights import class_of, fill, library, tensors_of
from unseen.errors import IntegrityError, InvalidConfiguration

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def pickled(value: Any) -> bytes:
    buffer = BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class Planted:
    """A pickle that makes a file when somebody opens it in good faith."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.safetensors", save(TENSORS)),
        ("a.pth", pickled(TENSORS)),
        ("a.bin", pickled({"state_dict": {f"module.{name}": value for name, value in TENSORS.items()}})),
    ],
)
def test_tensors_come_out_as_they_went_in(name: str, data: bytes) -> None:
    read = tensors_of(name, data)
    assert {key: value.tolist() for key, value in read.items()} == {k: v.tolist() for k, v in TENSORS.items()}


def test_a_pickle_that_holds_code_runs_none_of_it(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Planted(trace)))
    assert trace.exists()  # so it would
    trace.unlink()
    for value in (Planted(trace), {"weight": Planted(trace)}):
        with pytest.raises(IntegrityError, match="more than tensors"):
            tensors_of("a.pth", pickled(value))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.safetensors", b"no such file"),
        ("a.safetensors", pickled(TENSORS)),
        ("a.pth", b"no such file"),
        ("a.pth", pickled({"epoch": 3})),
        ("a.pth", pickled([1])),
        ("a.pkl", pickled(TENSORS)),
    ],
)
def test_other_files_are_refused(name: str, data: bytes) -> None:
    with pytest.raises(IntegrityError):
        tensors_of(name, data)


def test_an_old_torch_reads_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(InvalidConfiguration, match=r"2\.10"):
        tensors_of("a.pth", pickled(TENSORS))
    assert tensors_of("a.safetensors", save(TENSORS))


def test_weights_fill_every_place_and_no_other() -> None:
    model = fill(torch.nn.Linear(3, 2), {**TENSORS, "old.position_ids": torch.ones(1)}, may_miss=("position_ids",))
    assert model.weight.tolist() == TENSORS["weight"].tolist()
    assert not model.training
    for tensors in ({**TENSORS, "more": torch.ones(1)}, {"bias": TENSORS["bias"]}):
        with pytest.raises(IntegrityError, match="do not fit"):
            fill(torch.nn.Linear(3, 2), tensors)
    with pytest.raises(IntegrityError, match="other shapes"):
        fill(torch.nn.Linear(3, 3), TENSORS)


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(InvalidConfiguration, match=r"unseen\[models-open-clip\]"):
        library("open_clip")


def test_libraries_of_different_builds_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(InvalidConfiguration, match="same index"):
        library("open_clip")


def test_a_library_whose_parts_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        def __getattr__(self, name: str) -> Any:
            raise ModuleNotFoundError(f"Could not import module {name!r}")

    monkeypatch.setattr("importlib.import_module", lambda name: Lazy())
    with pytest.raises(InvalidConfiguration, match="same index"):
        class_of("transformers", "CLIPModel")
