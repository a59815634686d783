"""Adapters: a small linear change of the bundled model's picture vectors, taught on somebody's own images.

For the device only. An adapter holds public weights once it is shared: what they tell of the images they were taught
with is what its card states (docs/differential-privacy.md). Applying one needs numpy, no torch.

A row x is [ visual (128) ; semantic (384) ], see ``bundled``. The adapter moves the semantic part, and that alone:

    semantic' = direction of  semantic + up^T (down x)        down (r, 512), up (r, 384), r at most 256

Words are left as they are, so pictures and words stay in one space. What a picture looks like stays as it was.

The file is safetensors: the tensors "down" and "up" in float32, and in its metadata, under "unseen" as JSON, the
format, the model it belongs to and the card. The hash over the whole file names the model,
``bundled-2:<hash>+adapter:<hash>``: a collection made with it refuses every other one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.embed.bundled import NAME, SEMANTIC_DIMENSION, VISUAL_DIMENSION, bundled_entry
from unseen.embed.model import Embedder, Float32Vector, ModelEntry
from unseen.embed.renamed import RenamedEmbedder
from unseen.errors import IntegrityError, InvalidVector, ModelMismatch
from unseen.json_text import read_json
from unseen.pixels import Pixels

Float32Matrix = npt.NDArray[np.float32]

FORMAT = "unseen-adapter-1"
METADATA_KEY = "unseen"
DIMENSION = VISUAL_DIMENSION + SEMANTIC_DIMENSION
LARGEST_RANK = 256
LARGEST_FILE_BYTES = 4_000_000
"""Room for the largest rank and a long card; an adapter comes from somebody else."""
LARGEST_WEIGHT = 1e6
SHORTEST = 1e-3
"""A semantic part that was moved to about nothing has rounding errors for a direction."""
HASH_PREFIX_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Adapter:
    """The weights, and what is said about them."""

    base_model_id: str
    down: Float32Matrix
    """(r, 512): what is looked for in a row."""
    up: Float32Matrix
    """(r, 384): where the semantic part is moved when it is found."""
    card: str
    """JSON; ``unseen adapters show`` prints it."""


def adapt_rows(adapter: Adapter, rows: Float32Matrix, semantic_weight: float) -> Float32Matrix:
    """Move rows (n, 512) as the bundled model makes them; InvalidVector where nothing of a semantic part is left."""
    semantic = rows[:, VISUAL_DIMENSION:] / np.float32(semantic_weight)
    moved = semantic + (rows @ adapter.down.T) @ adapter.up
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > SHORTEST)).all():
        raise InvalidVector("got a picture that the adapter leaves without direction; leave it out")
    result = rows.copy()
    result[:, VISUAL_DIMENSION:] = moved * (np.float32(semantic_weight) / lengths)
    return result


class AdaptedEmbedder(RenamedEmbedder):
    """The bundled model with its picture vectors moved; safe for several threads. Words stay as they are."""

    def __init__(self, base: Embedder, adapter: Adapter, model_id: str) -> None:
        super().__init__(base, model_id)
        self._adapter = adapter

    def image(self, pixels: Pixels, *, people: int = 0) -> Float32Vector:
        """The moved unit vector (512,) of a picture."""
        row = super().image(pixels, people=people)
        return np.asarray(adapt_rows(self._adapter, row[None], 1 / self.text_score_scale)[0], np.float32)


def adapter_entry(data: bytes) -> ModelEntry:
    """An adapter's file as a model of the registry.

    Raises IntegrityError for what is no adapter, ModelMismatch for one that belongs to another bundled model.
    """
    base = bundled_entry()
    adapter = read_adapter(data)
    if adapter.base_model_id != base.model_id:
        raise ModelMismatch(
            f"got an adapter for model {adapter.base_model_id!r}, this release has {base.model_id!r}; install the "
            "release of Unseen that the adapter was taught with"
        )
    suffix = f"+adapter:{adapter_hash(data)[:HASH_PREFIX_DIGITS]}"
    model_id = base.model_id + suffix
    return ModelEntry(
        NAME + suffix,
        model_id,
        base.dimension,
        lambda threads: AdaptedEmbedder(base.load(threads), adapter, model_id),
    )


def adapter_hash(data: bytes) -> str:
    """SHA-256 of the file, in hex."""
    return hashlib.sha256(data).hexdigest()


def write_adapter(adapter: Adapter) -> bytes:
    """The file of an adapter, the same bytes every time."""
    from safetensors.numpy import save

    told = {"format": FORMAT, "model": adapter.base_model_id, "card": adapter.card}
    # One entry: the library writes several in any order.
    return bytes(save({"down": adapter.down, "up": adapter.up}, {METADATA_KEY: json.dumps(told, sort_keys=True)}))


def read_adapter(data: bytes) -> Adapter:
    """The inverse of ``write_adapter``, for bytes from anywhere; raises IntegrityError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(data) > LARGEST_FILE_BYTES:
        raise _not_an_adapter(f"{len(data)} bytes")
    try:
        tensors = load(data)
        header = read_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
        told = read_json(header["__metadata__"][METADATA_KEY])
        found, model, card = str(told["format"]), str(told["model"]), str(told["card"])
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise _not_an_adapter("bytes that are no such file") from None
    if found != FORMAT or set(tensors) != {"down", "up"}:
        raise _not_an_adapter("another format")
    down, up = tensors["down"], tensors["up"]
    rank = len(down) if down.ndim == 2 else 0
    right = down.shape == (rank, DIMENSION) and up.shape == (rank, SEMANTIC_DIMENSION) and 1 <= rank <= LARGEST_RANK
    if not right or {down.dtype, up.dtype} != {np.dtype(np.float32)}:
        raise _not_an_adapter(f"tensors of shape {down.shape} and {up.shape}")
    if not all(np.isfinite(one).all() and np.abs(one).max() <= LARGEST_WEIGHT for one in (down, up)):
        raise _not_an_adapter("weights that are not finite or far too large")
    return Adapter(model, down, up, card)


def _not_an_adapter(got: str) -> IntegrityError:
    return IntegrityError(f"got {got}, expected a safetensors file that `unseen adapt` wrote; fetch it again")
