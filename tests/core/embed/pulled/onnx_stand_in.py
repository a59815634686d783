"""A small CLIP and a small encoder of pictures as ONNX files, exported by torch into the layout that hubs have."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.core.embed.pulled.samples import SIDE_PX, VISION
from tests.core.embed.pulled.stand_ins import Upstream, image, seeded, transformers_stand_in, unit


def onnx_stand_in(folder: Path) -> Upstream:
    """A CLIP's two halves, exported by torch into the layout that hubs have."""
    upstream = transformers_stand_in(folder, "clip")
    model = transformers.CLIPModel.from_pretrained(folder, attn_implementation="eager").eval()
    (folder / "model.safetensors").unlink()
    (folder / "onnx").mkdir()
    ids = torch.tensor([[0, 5, 6, 1]])
    _export(folder / "onnx/vision_model.onnx", _Pictures(model), torch.zeros(1, 3, SIDE_PX, SIDE_PX), "pixel_values")
    _export(folder / "onnx/text_model.onnx", _Words(model), ids, "input_ids")
    return upstream


def vision_onnx_stand_in(folder: Path) -> Upstream:
    """A ViT that reads pictures and no words, exported by torch; its vector is the first token."""
    # Not above: it needs the operators that stand_ins defines where torchvision is of another build.
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    (folder / "onnx").mkdir(parents=True)
    model = seeded(lambda: transformers.ViTModel(transformers.ViTConfig(**VISION), add_pooling_layer=False))
    size = {"height": SIDE_PX, "width": SIDE_PX}
    processor = ViTImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    for part in (model.config, processor):
        part.save_pretrained(folder)
    _export(folder / "onnx/model.onnx", _Tokens(model), torch.zeros(1, 3, SIDE_PX, SIDE_PX), "pixel_values")

    def picture(pixels: np.ndarray) -> np.ndarray:
        inputs = processor(images=image(pixels), return_tensors="pt")
        with torch.no_grad():
            return unit(model(**inputs).last_hidden_state[:, 0])

    return Upstream(folder, picture, None)


class _Pictures(torch.nn.Module):  # type: ignore[misc]
    output = "image_embeds"

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Any) -> Any:
        return self.model.get_image_features(pixel_values=pixels).pooler_output


class _Words(_Pictures):
    output = "text_embeds"

    def forward(self, ids: Any) -> Any:
        return self.model.get_text_features(input_ids=ids).pooler_output


class _Tokens(_Pictures):
    output = "last_hidden_state"

    def forward(self, pixels: Any) -> Any:
        return self.model(pixel_values=pixels).last_hidden_state


def _export(path: Path, half: _Pictures, example: Any, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs onnx alone is the older one, and says so
        torch.onnx.export(
            half,
            (example,),
            path,
            dynamo=False,
            input_names=[name],
            output_names=[half.output],
            dynamic_axes={name: {1: "length"}} if name == "input_ids" else None,
        )
