from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from bench.protobuf_bytes import varint
from unseen.deid.faces import FOLDER as DEID_FOLDER
from unseen.embed.bundled import FOLDER as EMBED_FOLDER
from unseen.embed.words import MODEL
from unseen.errors import IntegrityError, InvalidConfiguration
from unseen.weights import PinnedFile, open_session, read_manifest, read_pinned, refuse_external_data

LARGEST_TOGETHER = 12_000_000


def field(number: int, content: bytes | int) -> bytes:
    """One protobuf field with a number below 2048."""
    wire_type = 0 if isinstance(content, int) else 2
    tag = number << 3 | wire_type
    head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    if isinstance(content, int):
        return head + bytes([content])
    return head + varint(len(content)) + content


EXTERNAL_TENSORS = {
    "location and key": field(8, b"w") + field(13, field(1, b"location") + field(2, b"../passwd")) + field(14, 1),
    "key alone": field(13, field(1, b"location") + field(2, b"x")),
    "location alone": field(14, 1),
}
PLACES = {
    "initializer": lambda tensor: field(7, field(5, tensor)),
    "node attribute": lambda tensor: field(7, field(1, field(5, field(5, tensor)))),
    "list in an attribute": lambda tensor: field(7, field(1, field(5, field(10, tensor)))),
    "subgraph": lambda tensor: field(7, field(1, field(5, field(6, field(5, tensor))))),
    "sparse values": lambda tensor: field(7, field(15, field(1, tensor))),
    "function": lambda tensor: field(25, field(7, field(5, field(5, tensor)))),
    "training": lambda tensor: field(20, field(1, field(5, tensor))),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tensor", EXTERNAL_TENSORS)
def test_a_model_that_names_another_file_is_refused(place: str, tensor: str) -> None:
    model = PLACES[place](EXTERNAL_TENSORS[tensor])
    with pytest.raises(IntegrityError, match="outside itself"):
        refuse_external_data(model)
    with pytest.raises(IntegrityError):
        open_session(model)
    refuse_external_data(PLACES[place](field(8, b"w") + field(9, struct.pack("<f", 1.0)) + field(14, 0)))


@pytest.mark.parametrize("model", [b"\xff", b"\x3a\x7f", b"\x3a" + b"\xff" * 10 + b"\x01", b"\x0b", b"\x09\0"])
def test_bytes_that_are_no_model_are_refused(model: bytes) -> None:
    with pytest.raises(IntegrityError, match="no ONNX model"):
        refuse_external_data(model)


@pytest.mark.parametrize("folder", [EMBED_FOLDER, DEID_FOLDER], ids=["embed", "deid"])
def test_every_shipped_file_is_pinned_and_true(folder: Path) -> None:
    manifest = read_manifest(folder)
    for path in folder.iterdir():
        if path.suffix not in {".md", ".toml"}:
            data = manifest.read(path.name)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (
                manifest.files[path.name].size_bytes,
                manifest.files[path.name].sha256,
            )


def test_the_shipped_files_stay_small() -> None:
    files = [path for folder in (EMBED_FOLDER, DEID_FOLDER) for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < LARGEST_TOGETHER


def test_the_text_model_is_pinned_once() -> None:
    assert read_manifest(EMBED_FOLDER).files[MODEL.name] == MODEL


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    pinned = PinnedFile("weights.bin", hashlib.sha256(b"weights").hexdigest(), 7)
    (tmp_path / "weights.bin").write_bytes(b"weights")
    assert read_pinned(tmp_path / "weights.bin", pinned) == b"weights"
    for other in (b"Weights", b"weight", b""):
        (tmp_path / "weights.bin").write_bytes(other)
        with pytest.raises(IntegrityError, match="SHA-256"):
            read_pinned(tmp_path / "weights.bin", pinned)
    with pytest.raises(IntegrityError, match="no file"):
        read_pinned(tmp_path / "missing.bin", pinned)


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration):
        read_manifest(tmp_path)
    for text in ("files = 3", "[files.x]\nsha256 = 'a'", "not toml ="):
        (tmp_path / "manifest.toml").write_text(text)
        with pytest.raises(InvalidConfiguration):
            read_manifest(tmp_path)


def test_the_fingerprint_changes_with_every_file_and_number(tmp_path: Path) -> None:
    lines = ["[recipe]", "side = 224", "[files.a]", "sha256 = 'aa'", "size_bytes = 1"]
    prints = set()
    for change in (None, (1, "side = 225"), (1, "side = '224'"), (2, "[files.b]"), (3, "sha256 = 'ab'")):
        changed = lines.copy()
        if change:
            changed[change[0]] = change[1]
        (tmp_path / "manifest.toml").write_text("\n".join(changed))
        prints.add(read_manifest(tmp_path).fingerprint())
    assert len(prints) == 5


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(InvalidConfiguration):
        open_session(b"", threads=0)
