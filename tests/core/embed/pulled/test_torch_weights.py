"""Weights are data: safetensors, or a pickle out of which torch takes tensors and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from unseen.embed.pulled.torch_weights import class_of, fill, library, tensors_of
from unseen.errors import IntegrityError, InvalidConfiguration

WEIGHTS = {"weight": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "bias": [1.0, 1.0]}

# torch is loaded by the tests that use it: to list them takes none.


def tensors() -> dict[str, Any]:
    import torch

    return {name: torch.tensor(values) for name, values in WEIGHTS.items()}


def saved() -> bytes:
    from safetensors.torch import save

    return save(tensors())


def pickled(value: Any) -> bytes:
    import torch

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
        ("a.safetensors", saved),
        ("a.pth", lambda: pickled(tensors())),
        ("a.bin", lambda: pickled({"state_dict": {f"module.{name}": value for name, value in tensors().items()}})),
    ],
)
def test_tensors_come_out_as_they_went_in(name: str, data: Callable[[], bytes]) -> None:
    read = tensors_of(name, data())
    assert {key: value.tolist() for key, value in read.items()} == WEIGHTS


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
        ("a.safetensors", lambda: b"no such file"),
        ("a.safetensors", lambda: pickled(tensors())),
        ("a.pth", lambda: b"no such file"),
        ("a.pth", lambda: pickled({"epoch": 3})),
        ("a.pth", lambda: pickled([1])),
        ("a.pkl", lambda: pickled(tensors())),
    ],
)
def test_other_files_are_refused(name: str, data: Callable[[], bytes]) -> None:
    with pytest.raises(IntegrityError):
        tensors_of(name, data())


def test_an_old_torch_reads_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.__version__", "2.9.1+cpu")
    with pytest.raises(InvalidConfiguration, match=r"2\.10"):
        tensors_of("a.pth", pickled(tensors()))
    assert tensors_of("a.safetensors", saved())


def test_weights_fill_every_place_and_no_other() -> None:
    import torch

    given, one = tensors(), torch.ones(1)
    model = fill(torch.nn.Linear(3, 2), {**given, "old.position_ids": one}, may_miss=("position_ids",))
    assert model.weight.tolist() == WEIGHTS["weight"]
    assert not model.training
    for wrong in ({**given, "more": one}, {"bias": given["bias"]}):
        with pytest.raises(IntegrityError, match="do not fit"):
            fill(torch.nn.Linear(3, 2), wrong)
    with pytest.raises(IntegrityError, match="other shapes"):
        fill(torch.nn.Linear(3, 3), given)


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
