"""A pulled model is pinned whole, opened late, and says what is wrong with it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.core.embed.pulled.folders import laid_out
from tests.core.embed.pulled.tiny_onnx import (
    FILES,
    RECIPE,
    model_with_weights_outside,
    picture_twin,
    tiny_model,
    words_twin,
)
from unseen.embed.pulled.embedder import pulled_entry
from unseen.embed.pulled.picture import PictureInput
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny")


def pixels(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_onnx_model_answers_as_its_arithmetic_in_numpy(folder: Path) -> None:
    embedder = pulled_entry(folder).load(1)
    picture = pixels()
    np.testing.assert_allclose(embedder.image(picture, people=3), picture_twin(picture), atol=1e-6)
    np.testing.assert_allclose(embedder.text("red car"), words_twin("red car"), atol=1e-6)
    embedder.close()
    np.testing.assert_allclose(embedder.text("Red  CAR"), words_twin("red car"), atol=1e-6)
    with pytest.raises(InvalidInput, match="empty"):
        embedder.text(" \n")
    with pytest.raises(InvalidInput, match="4096"):
        embedder.text("x" * 4097)


def test_the_id_changes_with_every_part_of_recipe_and_files_and_not_with_the_licence(tmp_path: Path) -> None:
    def model_id(number: int, recipe: dict[str, Any], files: dict[str, bytes]) -> str:
        return pulled_entry(laid_out(tmp_path / str(number), recipe, files)).model_id

    changes: dict[str, str | int] = {
        "name": "other",
        "adapter": "transformers-1",
        "revision": "2",
        "picture_side_px": 16,
        "picture_crop": "even",
        "picture_mean": "0.1 0.5 0.5",
        "words_lower_case": 0,
        "words_prompt": "query: ",
    }
    ids = {model_id(n, {**RECIPE, key: value}, FILES) for n, (key, value) in enumerate(changes.items())}
    ids |= {model_id(50 + n, RECIPE, {**FILES, name: data + b" "}) for n, (name, data) in enumerate(FILES.items())}
    plain = model_id(90, RECIPE, FILES)
    assert len(ids | {plain}) == len(changes) + len(FILES) + 1
    manifest = tmp_path / "90" / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('licence = "none"', 'licence = "MIT"'))
    assert pulled_entry(tmp_path / "90").model_id == plain
    assert plain.startswith("tiny:")


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_altered_file_is_refused_when_it_is_opened(folder: Path, name: str) -> None:
    entry = pulled_entry(folder)
    data = bytearray(FILES[name])
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    embedder = entry.load(1)
    with pytest.raises(IntegrityError, match="pull the model again"):
        embedder.image(pixels()) if "vision" in name else embedder.text("dog")


def test_a_model_that_names_another_file_is_refused(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "m", RECIPE, {**FILES, "onnx/vision_model.onnx": model_with_weights_outside()})
    with pytest.raises(IntegrityError, match="outside itself"):
        pulled_entry(folder).load(1).image(pixels())


WRONG: dict[str, Any] = {
    "name": "../up",
    "adapter": "pickle-1",
    "dimension": 4097,
    "revision": 3,
    "picture_side_px": 100_000,
    "picture_resize": "stretch",
    "picture_crop": "left",
    "picture_interpolation": "nearest",
    "picture_mean": "1 2",
    "picture_std": "0 1 1",
    "words_tokenizer": "manifest.toml",
    "words_longest_tokens": 0,
    "words_filled": 2,
    "words_prompt": 7,
}


@pytest.mark.parametrize("key", WRONG)
def test_a_recipe_that_says_something_impossible_is_refused_by_name(tmp_path: Path, key: str) -> None:
    folder = laid_out(tmp_path / "m", {**RECIPE, key: WRONG[key]}, FILES)
    with pytest.raises(InvalidConfiguration, match=key):
        pulled_entry(folder)


@pytest.mark.parametrize("pooling", ["mean", "max", "first", 1])
def test_a_pooling_of_pictures_that_is_not_known_is_refused_before_a_file_is_opened(
    tmp_path: Path, pooling: str | int
) -> None:
    folder = laid_out(tmp_path / "m", {**RECIPE, "picture_pooling": pooling}, FILES)
    for file in FILES:
        (folder / file).unlink()
    embedder = pulled_entry(folder).load(1)
    expected = f"picture_pooling = '{pooling}', expected 'cls' or none; pull the model again"
    for use in (lambda: embedder.image(pixels()), lambda: embedder.text("dog")):
        with pytest.raises(InvalidConfiguration, match=expected):
            use()


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b/c", ".hidden", "a/.b", "a//b", "a b"])
def test_a_file_outside_the_folder_is_refused(folder: Path, name: str) -> None:
    with (folder / "manifest.toml").open("a") as manifest:
        manifest.write(f'\n[files."{name}"]\nsha256 = "{hashlib.sha256(b"").hexdigest()}"\nsize_bytes = 0\n')
    with pytest.raises(InvalidConfiguration, match="file's name"):
        pulled_entry(folder)


def test_a_manifest_that_does_not_fit_its_files_is_refused(tmp_path: Path) -> None:
    wrong: dict[str, str | int] = {"dimension": 9, "picture_output": "other", "picture_file": "tokenizer.json"}
    for key, value in wrong.items():
        folder = laid_out(tmp_path / key, {**RECIPE, key: value}, FILES)
        with pytest.raises(IntegrityError):
            pulled_entry(folder).load(1).image(pixels())
    folder = laid_out(tmp_path / "side", {**RECIPE, "picture_side_px": 16}, FILES)
    with pytest.raises(IntegrityError, match="do not belong together"):
        pulled_entry(folder).load(1).image(pixels())
    folder = laid_out(tmp_path / "t", RECIPE, {**FILES, "tokenizer.json": b"{}"})
    with pytest.raises(IntegrityError, match="tokenizer"):
        pulled_entry(folder).load(1).text("dog")


def test_the_middle_is_cut_out_of_the_long_side() -> None:
    """Known answer: columns of their own brightness; 4 x 9 at side 4 keeps columns 2 to 5 (floor and even: 2.5)."""
    columns = np.repeat(np.arange(9, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2)

    def kept(crop: str, picture: np.ndarray) -> list[float]:
        numbers = PictureInput(4, "shortest", crop, "bicubic", (0, 0, 0), (1, 1, 1)).numbers(picture)
        return [round(float(value) * 255) for value in numbers[0, 0, 0]]

    assert kept("floor", columns) == [2, 3, 4, 5]
    assert kept("even", columns) == [2, 3, 4, 5]
    assert kept("floor", columns[:, :7]) == [1, 2, 3, 4]
    assert kept("even", columns[:, :7]) == [2, 3, 4, 5]


def test_a_line_of_pixels_takes_no_more_memory_than_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    resized = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        resized.append(size)
        return resize(image, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", watched)
    how = PictureInput(8, "shortest", "floor", "bicubic", (0, 0, 0), (1, 1, 1))
    for height, width in ((1, 65_535), (65_535, 1), (2, 64_000)):
        assert how.numbers(pixels(height, width)).shape == (1, 3, 8, 8)
    assert max(width * height for width, height in resized) <= 65 * 8 * 8
    for height, width in ((4, 400), (400, 4), (5, 1001)):
        picture = pixels(height, width)
        ours = how.numbers(picture)
        monkeypatch.setattr("unseen.embed.pulled.picture.LONGEST_RATIO", 1000)
        np.testing.assert_allclose(ours, how.numbers(picture), atol=2 / 255)
        monkeypatch.setattr("unseen.embed.pulled.picture.LONGEST_RATIO", 64)


def test_describing_and_opening_an_onnx_model_imports_no_torch(folder: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from unseen.embed.pulled.embedder import pulled_entry\n"
        "import unseen.embed.pulled.describe\n"
        f"pulled_entry(Path({str(folder)!r})).load(1).text('dog')\n"
        "print([one for one in ('torch', 'transformers', 'open_clip', 'torchvision') if one in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
