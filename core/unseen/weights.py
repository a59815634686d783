"""Model files with pinned hashes: read them, check them, open them from bytes.

For the device only: the server must never load this module (it imports onnxruntime).
Holds public model weights, never an image. Leaks nothing.

A model file is code in all but name, so three rules hold before onnxruntime sees one byte:
its SHA-256 is the one in ``manifest.toml`` beside it, it is opened from those very bytes (no second
read of the disk), and it names no file outside itself.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

import onnxruntime as ort

from unseen.errors import IntegrityError, InvalidConfiguration

MANIFEST_NAME = "manifest.toml"
REINSTALL = "reinstall the package that holds it; if that does not help, somebody changed the file"

# Field numbers of onnx.proto3 that can lead to a tensor, by message. "tensor" is where external data would stand.
_PATHS_TO_TENSORS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_TENSOR_EXTERNAL_DATA = 13
_TENSOR_DATA_LOCATION = 14
_NUMBERS = range(-(1 << 63), 1 << 63)
"""TOML's own range; Python's reader takes larger ones, and Python does not write the largest of those."""


@dataclass(frozen=True)
class PinnedFile:
    """One line of a manifest: what the file must hash to."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The pinned files of one folder, and the numbers of the recipe they were made by."""

    folder: Path
    files: Mapping[str, PinnedFile]
    recipe: Mapping[str, str | int | float]
    about: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What is said of the files and decides nothing: licence, origin. Not part of the fingerprint."""
    advice: str = REINSTALL
    """What to do when a file is not the pinned one."""

    def fingerprint(self) -> str:
        """Return 64 hex digits that change with any file or any number of the recipe."""
        lines = [f"{file.name}={file.sha256}" for file in self.files.values()]
        lines += [f"{key}={value!r}" for key, value in self.recipe.items()]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def read(self, name: str) -> bytes:
        """Return the bytes of a pinned file of this folder; IntegrityError when they are not the pinned ones."""
        return read_pinned(self.folder / name, self.files[name], self.advice)


def is_installed(package: str) -> bool:
    """Whether a package of files is there; looks, and loads nothing."""
    return importlib.util.find_spec(package) is not None


def package_folder(package: str, distribution: str) -> Path:
    """Return where a package's files lie, without running any of its code; InvalidConfiguration when it is missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InvalidConfiguration(f"got no package {package}, expected it; run: pip install {distribution}")
    return Path(next(iter(spec.submodule_search_locations)))


def read_manifest(folder: Path, *, advice: str = REINSTALL) -> Manifest:
    """Return the manifest of a folder of model files; InvalidConfiguration when it is missing or broken."""
    try:
        text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
        return parse_manifest(text, folder, advice=advice)
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(
            f"got no readable {MANIFEST_NAME} in {folder.name}/, expected the one that names its files; {advice}"
        ) from error


def parse_manifest(text: str, folder: Path, *, advice: str = REINSTALL) -> Manifest:
    """Return the manifest that a text holds, of files in a folder; InvalidConfiguration when it is broken."""
    try:
        document = tomllib.loads(text)
        files = {
            name: PinnedFile(name, str(entry["sha256"]), _whole(int(entry["size_bytes"])))
            for name, entry in document["files"].items()
        }
        about = {str(key): str(value) for key, value in document.get("about", {}).items()}
        return Manifest(folder, files, _recipe(document.get("recipe", {})), about, advice)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidConfiguration(
            f"got no readable {MANIFEST_NAME} in {folder.name}/, expected the one that names its files; {advice}"
        ) from error


def _recipe(told: Mapping[str, object]) -> dict[str, str | int | float]:
    """A flat table of texts and numbers: all of it goes into the fingerprint. ValueError for anything else."""
    recipe: dict[str, str | int | float] = {}
    for key, value in told.items():
        if not isinstance(value, str | int | float):
            raise ValueError("a recipe holds texts and numbers")  # noqa: TRY004 - one error for what is broken
        recipe[key] = _whole(value) if isinstance(value, int) else value
    return recipe


def _whole(number: int) -> int:
    if number not in _NUMBERS:
        raise ValueError("a number beyond 64 bits")
    return number


def read_pinned(path: Path, pinned: PinnedFile, advice: str = REINSTALL) -> bytes:
    """Return the bytes of a file whose SHA-256 is pinned; IntegrityError when missing, resized or altered."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"got no file {pinned.name}, expected a model of {pinned.size_bytes} bytes; {advice}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != pinned.sha256:
        raise IntegrityError(
            f"got {pinned.name} with SHA-256 {digest[:16]}… ({len(data)} bytes), "
            f"expected {pinned.sha256[:16]}… ({pinned.size_bytes} bytes); {advice}"
        )
    return data


def open_session(model: bytes, threads: int = 1) -> ort.InferenceSession:
    """Return an onnxruntime session on the CPU for a model given as bytes; IntegrityError for external data.

    threads: cores that one call may use (>= 1). onnxruntime keeps its buffers from call to call; without that (its
    "arena") pictures of changing size fragmented the heap: 520 MB and growing after 216 pictures, against 400 MB.
    """
    if threads < 1:
        raise InvalidConfiguration(f"got threads={threads}, expected 1 or more")
    refuse_external_data(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def refuse_external_data(model: bytes) -> None:
    """Raise IntegrityError when any tensor of an ONNX model lives in another file, or the model does not parse."""
    try:
        _walk(memoryview(model), "model")
    except (IndexError, ValueError, RecursionError) as error:
        raise IntegrityError("got bytes that are no ONNX model, expected one; reinstall the package") from error


def _walk(message: memoryview, kind: str) -> None:
    for field, value in _fields(message):
        if kind == "tensor":
            if field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0):
                raise IntegrityError(
                    "got a model that names a file outside itself, expected all weights inside; refuse it"
                )
        elif isinstance(value, memoryview) and field in _PATHS_TO_TENSORS[kind]:
            _walk(value, _PATHS_TO_TENSORS[kind][field])


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a protobuf message: an int, or the bytes of a length-delimited field."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire_type = tag & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if wire_type == 2:
            size, at = _varint(message, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError("unknown wire type")
        if at + size > len(message):
            raise ValueError("field longer than its message")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("varint longer than ten bytes")
