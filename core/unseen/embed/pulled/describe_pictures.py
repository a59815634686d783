"""Preprocessing of pictures out of upstream's configurations.

For the device only. Sizes that are not square, and crops other than the whole short side, are refused.
"""

from __future__ import annotations

from typing import Any

from unseen.embed.pulled.picture import EVEN, FLOOR, SHORTEST, SQUASH
from unseen.embed.pulled.recipe import RecipeTable
from unseen.embed.pulled.upstream import Upstream, refused, whole

RESAMPLING = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, as transformers writes them."""
TO_ONE = 1 / 255
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def picture_recipe(upstream: Upstream) -> RecipeTable:
    """The preprocessing of transformers' image processors; raises InvalidInput for one that is not understood."""
    if "preprocessor_config.json" in upstream.present:
        told = upstream.json("preprocessor_config.json")
    else:
        told = upstream.json("processor_config.json").get("image_processor") or {}
    if not (told.get("do_resize", True) and told.get("do_rescale", True) and told.get("do_normalize", True)):
        raise refused("preprocessing that leaves out a step", "resizing, scaling and normalising")
    if abs(float(told.get("rescale_factor") or TO_ONE) - TO_ONE) > TO_ONE * 1e-6:
        raise refused("pixels scaled otherwise", "1/255")
    side, resize = _size(told)
    resample = told.get("resample", 3)
    if resample not in RESAMPLING:
        raise refused(f"resample = {resample}", "2 (bilinear) or 3 (bicubic)")
    return settings(side, resize, FLOOR, RESAMPLING[resample], told.get("image_mean"), told.get("image_std"))


def open_clip_pictures(preprocess: dict[str, Any], image_size: Any) -> RecipeTable:
    """The preprocessing of open_clip for validation; the defaults are open_clip's own."""
    size = preprocess.get("size") or image_size or 224
    if isinstance(size, list):
        if len(set(size)) != 1:
            raise refused("pictures that are not square", "square ones")
        size = size[0]
    resize = preprocess.get("resize_mode") or SHORTEST
    if resize not in (SHORTEST, SQUASH):
        raise refused(f"resize_mode = {resize!r}", f"{SHORTEST} or {SQUASH}")
    interpolation = preprocess.get("interpolation") or "bicubic"
    if interpolation not in RESAMPLING.values():
        raise refused(f"interpolation = {interpolation!r}", "bilinear or bicubic")
    mean, std = preprocess.get("mean") or CLIP_MEAN, preprocess.get("std") or CLIP_STD
    return settings(whole(size, "a picture size"), resize, EVEN, interpolation, mean, std)


def settings(side: int, resize: str, crop: str, interpolation: str, mean: Any, std: Any) -> RecipeTable:
    """The recipe's names for it."""
    return {
        "picture_side_px": side,
        "picture_resize": resize,
        "picture_crop": crop,
        "picture_interpolation": interpolation,
        "picture_mean": _three(mean),
        "picture_std": _three(std),
    }


def _size(told: dict[str, Any]) -> tuple[int, str]:
    """A side and how it is reached. Old files hold one number: the short side."""
    size, crop = told.get("size"), told.get("crop_size")
    crop_side = _square(crop) if crop is not None and told.get("do_center_crop", False) else None
    if isinstance(size, dict) and "shortest_edge" not in size:
        side, resize = _square(size), SQUASH
    else:
        side = whole(size["shortest_edge"] if isinstance(size, dict) else size, "a picture size")
        resize = SHORTEST
        if crop_side is None:
            raise refused("pictures that are not cropped to a square", "a crop to the short side, or both sides set")
    if crop_side not in (None, side):
        raise refused(f"pictures of {side} pixels cropped to {crop_side}", "a crop to the short side")
    return side, resize


def _square(size: Any) -> int:
    if not isinstance(size, dict):
        return whole(size, "a picture size")
    if size.get("height") != size.get("width"):
        raise refused("pictures that are not square", "square ones")
    return whole(size.get("height"), "a picture size")


def _three(values: Any) -> str:
    numbers = list(values) if isinstance(values, list | tuple) else [values] * 3
    if len(numbers) != 3 or not all(isinstance(value, int | float) for value in numbers):
        raise refused("a mean or deviation of other than three colours", "three numbers")
    return " ".join(repr(float(value)) for value in numbers)
