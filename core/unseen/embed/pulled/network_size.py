"""How large the network is that a configuration asks for, before any library takes memory for it.

For the device only. A configuration comes from a stranger. The sizes are those of a transformer, by the names that
transformers and open_clip have for them, the largest that stands anywhere in it: so an estimate from above.
"""

from __future__ import annotations

from typing import Any

from unseen.embed.pulled.recipe import LARGEST_SIDE_PX
from unseen.embed.pulled.upstream import refused, without_code

MOST_LAYERS = 128
LARGEST_SIZE = 1 << 20
"""Of any whole number: four times the pieces of the largest tokenizers."""
MOST_WEIGHTS = 1 << 32
"""As many as the largest file that is taken holds, in 16 bits."""
LAYERS = ("num_hidden_layers", "n_layers", "num_layers", "layers", "num_hidden_groups", "inner_group_num")
WIDTHS = ("hidden_size", "embedding_size", "dim", "width")
INNER_WIDTHS = ("intermediate_size", "hidden_dim")
RATIO, USUAL_RATIO = "mlp_ratio", 4
"""open_clip's way to say the inner width."""
PICTURE_SIDE, PATCH_SIDE, USUAL_PATCH_PX = "image_size", "patch_size", 14


def network_configuration(configuration: bytes) -> dict[str, Any]:
    """Return a network's JSON configuration less what names code; InvalidInput for one that is too large to build."""
    told = without_code(configuration)
    require_bounded(told)
    return told


def require_bounded(configuration: dict[str, Any]) -> None:
    """Raise InvalidInput for a configuration of a network that no device should try to build."""
    sizes = _sizes(configuration)
    for key, values in sizes.items():
        if not all(abs(value) <= LARGEST_SIZE for value in values):
            raise refused(f"a {key[:40]} out of all proportion", f"at most {LARGEST_SIZE}")
    layers, side = _largest(sizes, *LAYERS), _largest(sizes, PICTURE_SIDE)
    if layers > MOST_LAYERS:
        raise refused(f"{layers:.0f} layers", f"at most {MOST_LAYERS}")
    if side > LARGEST_SIDE_PX:
        raise refused(f"pictures of {side:.0f} pixels", f"at most {LARGEST_SIDE_PX}")
    width = _largest(sizes, *WIDTHS)
    inner = max(_largest(sizes, *INNER_WIDTHS), width * (_largest(sizes, RATIO) or USUAL_RATIO))
    patches = (side / max(1, min(sizes.get(PATCH_SIDE, [USUAL_PATCH_PX])))) ** 2
    rows = max(patches, _largest(sizes, *sizes))
    weights = width * (layers * (4 * width + 2 * inner) + rows)
    if weights > MOST_WEIGHTS:
        raise refused(f"a network of some {weights:.1e} weights", f"at most {MOST_WEIGHTS:.1e}")


def _sizes(configuration: dict[str, Any]) -> dict[str, list[float]]:
    """The whole numbers by the names that they stand under, at any depth; and the ratio, which need not be whole."""
    found: dict[str, list[float]] = {}
    left: list[tuple[str, Any]] = [("", configuration)]
    while left:  # no recursion: what a parser takes may be nested deeper than functions may call
        key, told = left.pop()
        if isinstance(told, dict):
            left += told.items()
        elif isinstance(told, list):
            left += [(key, one) for one in told]
        elif (isinstance(told, int) and not isinstance(told, bool)) or (isinstance(told, float) and key == RATIO):
            found.setdefault(key, []).append(told)
    return found


def _largest(sizes: dict[str, list[float]], *names: str) -> float:
    return max((value for name in names for value in sizes.get(name, ())), default=0)
