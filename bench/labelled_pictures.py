"""Real labelled pictures from Debian packages, as vectors of the bundled model. `make pictures` installs them.

Fashion-MNIST (dataset-fashion-mnist, MIT): photographs of clothes, 28 pixels wide, ten kinds. Open Clip Art
(openclipart-png, public domain): drawings, their folders as labels. Tux Paint stamps (tuxpaint-stamps-default, GPL-2,
used at measuring time only): drawings and photographs with a caption each.

No faces are covered: a bench of what an adapter learns, not of de-identification.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.embed.bundled import FOLDER, VISUAL_DIMENSION, BundledEmbedder
from unseen.weights import read_manifest

Float32Matrix = npt.NDArray[np.float32]

FASHION = Path("/usr/share/datasets/fashion-mnist")
FASHION_LABELS = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CLIP_ART = Path("/usr/share/openclipart/png")
CLIP_ART_LABELS = {
    "animals": "animal", "food": "food", "people": "person", "transportation": "vehicle",
    "recreation": "sports and games", "tools": "tool", "office": "office supplies", "plants": "plant",
    "buildings": "building", "computer": "computer", "geography": "map", "signs_and_symbols": "sign",
}  # fmt: skip
MOST_OF_A_FOLDER = 400
"""So that no folder is most of all pictures."""
STAMPS = Path("/usr/share/tuxpaint/stamps")
NO_STAMPS = re.compile("symbols|flags|cartoon|mirror|roadsign")
LONGEST_SIDE_PX = 640
MOST_PIXELS = 20_000_000
SEED = 20


@dataclass(frozen=True, eq=False)
class Pictures:
    """Vectors with their labels or captions."""

    name: str
    rows: Float32Matrix
    texts: Float32Matrix
    """(k, 384) for k labels; (n, 384) where every picture has a caption."""
    labels: npt.NDArray[np.int64] | None


def require(folder: Path) -> Path:
    """The folder of a package; ends the program with what to do where it is missing."""
    if not folder.exists():
        raise SystemExit(f"{folder} is not there; `make pictures` installs the pictures that this measures with")
    return folder


def embedder() -> BundledEmbedder:
    return BundledEmbedder(read_manifest(FOLDER))


def text_vectors(model: BundledEmbedder, texts: list[str]) -> Float32Matrix:
    return np.stack([model.text(text)[VISUAL_DIMENSION:] for text in texts])


def fashion(count: int, part: str = "train") -> Pictures:
    """The first ``count`` photographs of clothes."""
    model = embedder()
    labels = read_idx(f"{part}-labels-idx1-ubyte.gz", 8)[:count].astype(np.int64)
    pixels = read_idx(f"{part}-images-idx3-ubyte.gz", 16)[: count * 784].reshape(-1, 28, 28)
    rows = np.stack([model.image(np.repeat(one[:, :, None], 3, axis=2)) for one in pixels])
    return Pictures("Fashion-MNIST", rows, text_vectors(model, list(FASHION_LABELS)), labels)


def read_idx(name: str, header_bytes: int) -> npt.NDArray[np.uint8]:
    with gzip.open(require(FASHION) / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)


def clip_art() -> Pictures:
    """Drawings of twelve folders, at most 400 of each; of equal vectors one stays."""
    model, random = embedder(), np.random.default_rng(SEED)
    rows, labels = [], []
    for label, folder in enumerate(CLIP_ART_LABELS):
        paths = sorted((require(CLIP_ART) / folder).rglob("*.png"))
        chosen = random.permutation(len(paths))[:MOST_OF_A_FOLDER]
        for picture in on_white(paths[at] for at in chosen.tolist()):
            rows.append(model.image(picture))
            labels.append(label)
    _, first = np.unique(np.stack(rows).round(5), axis=0, return_index=True)
    order = random.permutation(first)
    texts = text_vectors(model, list(CLIP_ART_LABELS.values()))
    return Pictures("Open Clip Art", np.stack(rows)[order], texts, np.array(labels, np.int64)[order])


def clip_art_names() -> Pictures:
    """The drawings of ten of these folders with their file names as captions."""
    model, random = embedder(), np.random.default_rng(SEED)
    folders = [folder for folder in CLIP_ART_LABELS if folder not in {"computer", "signs_and_symbols"}]
    rows, captions = [], []
    for folder in folders:
        for path in sorted((require(CLIP_ART) / folder).rglob("*.png"))[:MOST_OF_A_FOLDER]:
            caption = re.sub(r"[_\-0-9]+", " ", path.stem).strip()
            for picture in on_white(iter([path] if caption else [])):
                rows.append(model.image(picture))
                captions.append(caption)
    order = random.permutation(len(rows))
    texts = text_vectors(model, captions)
    return Pictures("Open Clip Art, file names", np.stack(rows)[order], texts[order], None)


def stamps() -> Pictures:
    """Stamps with their English captions."""
    model, random = embedder(), np.random.default_rng(SEED)
    rows, captions = [], []
    for path, told in stamp_captions():
        for picture in on_white(iter([path])):
            rows.append(model.image(picture))
            captions.append(told["en"])
    order = random.permutation(len(rows))
    return Pictures("Tux Paint stamps", np.stack(rows)[order], text_vectors(model, captions)[order], None)


def stamp_captions() -> Iterator[tuple[Path, dict[str, str]]]:
    """Files of stamps that have an English caption, with their captions by language, as in "zh_TW"."""
    for path in sorted(require(STAMPS).rglob("*.png")):
        told = path.with_suffix(".txt")
        if NO_STAMPS.search(str(path.relative_to(STAMPS))) or not told.exists():
            continue
        english, *others = told.read_text(encoding="utf-8", errors="ignore").splitlines()
        captions = {
            name.removesuffix(".utf8"): text.strip() for name, _, text in (line.partition("=") for line in others)
        }
        if english.strip():
            yield path, {**captions, "en": english.strip()}


def is_reported(stamp: Path) -> bool:
    """Whether a stamp is of the half that is reported and chooses nothing; the other half is there to choose with.

    By the hash of the path, so that nobody picks. Queries are of one half, what they are searched in is all stamps.
    """
    name = stamp.relative_to(STAMPS).as_posix()
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def on_white(paths: Iterator[Path]) -> Iterator[npt.NDArray[np.uint8]]:
    """Pictures with their transparent parts white; those far too large are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for path in paths:
            try:
                opened = Image.open(path)
            except Image.DecompressionBombError:
                continue
            if opened.width * opened.height > MOST_PIXELS:
                continue
            picture = opened.convert("RGBA")
            picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
            white = Image.new("RGB", picture.size, "white")
            white.paste(picture, mask=picture.getchannel("A"))
            yield np.asarray(white)
