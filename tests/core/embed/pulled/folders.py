"""Model folders as `unseen models pull` makes them, from what upstream saved."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from unseen.embed.pulled.describe import describe
from unseen.embed.pulled.manifest_text import manifest_text
from unseen.weights import PinnedFile


def names_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def model_folder(upstream: Path, folder: Path, name: str = "stand-in", **options: Any) -> Path:
    """Describe, pin and lay out a model."""
    described = describe(name, "1", names_in(upstream), lambda file: (upstream / file).read_bytes(), **options)
    files = {file: (upstream / file).read_bytes() for file in described.files}
    return laid_out(folder, described.recipe, files)


def laid_out(folder: Path, recipe: dict[str, str | int | float], files: dict[str, bytes]) -> Path:
    pinned = [PinnedFile(file, hashlib.sha256(data).hexdigest(), len(data)) for file, data in files.items()]
    for file, data in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    (folder / "manifest.toml").write_text(manifest_text(recipe, pinned, {"licence": "none"}))
    return folder
