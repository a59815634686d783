"""The weights of a torch model, from bytes whose hash was checked: safetensors, or a pickle of tensors and no more.

For the device only. Safetensors is data. A pickle is code: torch reads it with ``weights_only=True``, which builds
tensors and refuses everything else, and only a torch in which that holds (before 2.10 it had holes: CVE-2025-32434,
CVE-2026-24747). Nothing is read a second time from the disk. Weights are read before the network is built, so that the
file's bytes are gone by then.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from io import BytesIO
from typing import Any

from unseen.errors import IntegrityError, InvalidConfiguration

SAFE_SUFFIX = ".safetensors"
PICKLE_SUFFIXES = (".pth", ".pt", ".bin")
FIRST_SAFE_TORCH = (2, 10)
EXTRAS = {"transformers": "models-transformers", "open_clip": "models-open-clip", "torch": "models-transformers"}


def library(name: str) -> Any:
    """Import an optional library; raises InvalidConfiguration that says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidConfiguration(
            f"this model needs the library {name}, which is not installed; run: pip install "
            f'"unseen[{EXTRAS[name]}]" (docs/models.md says how to keep torch small)'
        ) from error
    except RuntimeError as error:
        # torchvision raises it where torch has other operators than it was built for.
        raise _of_different_builds(name) from error


def class_of(name: str, kind: str) -> Any:
    """Return a class of an optional library, which may import its own parts only now; raises InvalidConfiguration."""
    found = library(name)
    try:
        return getattr(found, kind)
    except (ImportError, RuntimeError) as error:
        raise _of_different_builds(name) from error


def _of_different_builds(name: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"the library {name} is installed and cannot be loaded: torch and torchvision may be of different builds; "
        "install both from the same index (docs/models.md)"
    )


def tensors_of(name: str, data: bytes) -> dict[str, Any]:
    """Return the tensors of a weights file by name; raises IntegrityError for a file of another kind."""
    torch = library("torch")
    if name.endswith(SAFE_SUFFIX):
        from safetensors.torch import load

        with suppress(Exception):
            return dict(load(data))
        raise IntegrityError(f"got {name} that is no safetensors file; pull the model again")
    if not name.endswith(PICKLE_SUFFIXES):
        raise IntegrityError(f"got weights named {name}, expected a {SAFE_SUFFIX} file; pull the model again")
    if tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2]) < FIRST_SAFE_TORCH:
        raise InvalidConfiguration(
            f"got torch {torch.__version__}, expected 2.10 or later to read {name}: upgrade torch, or take safetensors"
        )
    try:
        read = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise IntegrityError(f"got {name} that holds more than tensors; take a {SAFE_SUFFIX} file instead") from error
    read = read.get("state_dict", read) if isinstance(read, dict) else {}
    if not read or not all(isinstance(one, torch.Tensor) for one in read.values()):
        raise IntegrityError(f"got {name} without tensors by name; take a {SAFE_SUFFIX} file instead")
    return {key.removeprefix("module."): value for key, value in read.items()}


def fill(model: Any, tensors: dict[str, Any], may_miss: tuple[str, ...] = ()) -> Any:
    """Put weights into a model, in float32 and for answering only; IntegrityError unless every one has its place.

    may_miss: endings of names that old files have or lack and that decide nothing (buffers).
    """
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise IntegrityError("got weights of other shapes than the model's configuration; pull it again") from error
    wrong = [key for key in (*missing, *unexpected) if not key.endswith(may_miss or ("\0",))]
    if wrong:
        raise IntegrityError(
            f"got weights that do not fit the model's configuration ({len(wrong)} names, {wrong[0]!r} first); pull it "
            "again"
        )
    return model.float().eval()
