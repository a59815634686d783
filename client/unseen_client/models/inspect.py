"""What can be said of a model that is here, and whether it works.

Runs where the images are. The picture and the words that a check uses are made up, and the same everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.embed.pulled.recipe import read_recipe
from unseen.embed.pulled.upstream import one_line
from unseen.errors import IntegrityError
from unseen_client.models.shelf import HeldModel

CHECK_SIDE_PX = 96
CHECK_WORDS = "a red car by the sea"
NOT_SAID = "not stated"


def told_of(held: HeldModel) -> dict[str, object]:
    """Everything in a model's manifest, by name."""
    manifest = held.manifest
    recipe = read_recipe(manifest)
    return {
        "name": recipe.name,
        "model_id": held.entry.model_id,
        "dimension": recipe.dimension,
        "adapter": recipe.adapter,
        "revision": recipe.revision,
        "licence": manifest.about.get("licence", NOT_SAID),
        "origin": manifest.about.get("origin", NOT_SAID),
        "reads": [what for what, is_read in reads(held).items() if is_read],
        "recipe": dict(manifest.recipe),
        "files": [
            {"name": one.name, "sha256": one.sha256, "size_bytes": one.size_bytes} for one in manifest.files.values()
        ],
    }


def page_of(told: dict[str, Any]) -> str:
    """The same for people: on their terminal nothing that a stranger wrote is more than text."""
    plain = {key: value for key, value in told.items() if key not in ("recipe", "files", "reads")}
    lines = [f"{key}\t{one_line(str(value))}" for key, value in plain.items()]
    lines += [f"  {one_line(key)}\t{one_line(str(value))}" for key, value in told["recipe"].items() if key not in plain]
    lines += [f"  {one['sha256']}  {one['size_bytes']}\t{one['name']}" for one in told["files"]]
    return "\n".join(lines)


def reads(held: HeldModel) -> dict[str, bool]:
    """Whether a model reads pictures and words."""
    recipe = read_recipe(held.manifest)
    return {"pictures": recipe.picture is not None, "words": recipe.reads_words}


def check_model(held: HeldModel) -> list[str]:
    """Hash every file, open the model, have it answer; returns what was done.

    Raises IntegrityError for files that are not the pinned ones or answers that are no unit vectors, and
    InvalidConfiguration where a library is missing.
    """
    manifest = held.manifest
    for name in manifest.files:
        manifest.read(name)
    done = [f"{len(manifest.files)} files hash to what is pinned"]
    embedder = held.entry.load(1)
    try:
        if reads(held)["pictures"]:
            _require_unit(embedder.image(_picture()), held)
            done.append(f"a picture becomes {embedder.dimension} numbers")
        if reads(held)["words"]:
            _require_unit(embedder.text(CHECK_WORDS), held)
            done.append(f"words become {embedder.dimension} numbers")
    finally:
        embedder.close()
    return done


def _picture() -> np.ndarray:
    """Red from left to right, green from top to bottom."""
    ramp = np.linspace(0, 255, CHECK_SIDE_PX).astype(np.uint8)
    red, green = np.meshgrid(ramp, ramp)
    return np.stack([red, green, np.full_like(red, 128)], axis=2)


def _require_unit(vector: np.ndarray, held: HeldModel) -> None:
    length = float(np.linalg.norm(vector))
    if vector.shape != (held.entry.dimension,) or abs(length - 1) > 1e-3:
        raise IntegrityError(f"model {held.entry.name!r} answers with no unit vector; pull it again")
