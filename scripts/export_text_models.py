"""Make the files that find and read text in pictures from the package `rapidocr`, the same bytes every time.

Run by whoever maintains Unseen, never by a user: see scripts/README.md for the environment it needs. Reads public
weights only, and none of the package's code. ``--check`` makes everything anew and compares it with what is committed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

import onnx
from export_models import (
    compare,
    keep_only_real_inputs,
    matrix_bits,
    package_folder,
    rename,
    serialised,
    write_manifest,
)
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from shrink_onnx import OPSET_WITH_UINT4, in_fewer_bits

FOLDER = Path(__file__).resolve().parent.parent / "core" / "unseen" / "deid" / "text" / "models"
PACKAGES = ("onnx", "rapidocr")
RECIPE = {"name": "pp-ocrv6-small-1"}
OPSET = OPSET_WITH_UINT4
READER_HEIGHT_PX = 48


def finder() -> onnx.ModelProto:
    """Return PP-OCRv6's small text detector, in float32: pixels (1, 3, 32n, 32m) -> chance of text per pixel."""
    model = upgraded("PP-OCRv6_det_small.onnx", {"x": "pixels", "fetch_name_0": "text"})
    shapes = {"pixels": ["images", 3, "height", "width"]}, {"text": ["images", 1, "rows", "columns"]}
    return update_inputs_outputs_dims(model, *shapes)


def reader() -> tuple[onnx.ModelProto, list[str]]:
    """Return PP-OCRv6's small recogniser, in float32, and its characters: what class n + 1 means (0 is "nothing").

    The last class is the blank between words; the list of the package leaves it out.
    """
    model = upgraded("PP-OCRv6_rec_small.onnx", {"x": "pixels", "fetch_name_0": "characters"})
    characters = next(entry.value for entry in model.metadata_props if entry.key == "character").split("\n")
    del model.metadata_props[:]
    classes = model.graph.output[0].type.tensor_type.shape.dim[2].dim_value
    if classes != len(characters) + 2:
        raise SystemExit(f"got {len(characters)} characters for {classes} classes, expected two fewer")
    shapes = (
        {"pixels": ["lines", 3, READER_HEIGHT_PX, "width"]},
        {"characters": ["lines", "steps", classes]},
    )
    return update_inputs_outputs_dims(model, *shapes), [*characters, " "]


def upgraded(file: str, names: dict[str, str]) -> onnx.ModelProto:
    model = onnx.load(str(package_folder("rapidocr") / "models" / file))
    model = onnx.version_converter.convert_version(model, OPSET)
    rename(model, names)
    keep_only_real_inputs(model)
    return model


def export(folder: Path) -> None:
    """Write both models, the characters and the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    found, (read, characters) = finder(), reader()
    found = in_fewer_bits(found, matrix_bits(found, convolutions=12, matrices=8))
    read = in_fewer_bits(read, matrix_bits(read, convolutions=12, matrices=8))
    (folder / "text_finder.onnx").write_bytes(serialised(found))
    (folder / "text_reader.onnx").write_bytes(serialised(read))
    (folder / "characters.json").write_text(json.dumps(characters, ensure_ascii=False), encoding="utf-8")
    write_manifest(folder, RECIPE, {})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    arguments = parser.parse_args()
    for package in PACKAGES:
        sys.stdout.write(f"{package} {importlib.metadata.version(package)}\n")
    if not arguments.check:
        export(FOLDER)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder))
        return 0 if compare(Path(folder), FOLDER) else 1


if __name__ == "__main__":
    sys.exit(main())
