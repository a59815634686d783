from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unseen.deid.faces import FaceFinder
from unseen.embed.bundled import VISUAL_DIMENSION
from unseen.errors import ImageRefused, InvalidInput, ModelMismatch
from unseen_client.prepare import PreparedImage, Preparer

PHOTOS = Path(__file__).parents[2] / "examples" / "demo" / "photos"


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=2) as ready:
        yield ready


def jpeg(picture: Image.Image, **how: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=95, **how)
    return buffer.getvalue()


def test_a_picture_goes_through_every_step(preparer: Preparer) -> None:
    path = PHOTOS / "astronaut.jpg"
    picture = preparer.image(path)
    assert picture.vector.shape == (preparer.dimension,) == (512,)
    assert np.linalg.norm(picture.vector) == pytest.approx(1, abs=1e-5)
    assert picture.faces_covered == 1
    assert picture.covered.shape == (512, 512, 3)
    assert picture.content_id == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert json.dumps(picture.report.as_dict())
    assert preparer.model_id.startswith("bundled-2:")


def test_paths_strings_and_bytes_are_the_same_picture(preparer: Preparer) -> None:
    path = PHOTOS / "tabby-cat.jpg"
    first, *others = (preparer.image(source) for source in (path, str(path), path.read_bytes()))
    for other in others:
        assert (other.vector == first.vector).all()
        assert other.content_id == first.content_id


def test_the_vector_comes_from_the_covered_picture(preparer: Preparer) -> None:
    picture = preparer.image(PHOTOS / "astronaut.jpg")
    left, top, right, bottom = picture.report.faces[0].box
    whole = np.array(Image.open(PHOTOS / "astronaut.jpg").convert("RGB"))
    embedder = preparer._embedder
    assert (embedder.image(picture.covered, people=1) == picture.vector).all()
    assert float(embedder.image(whole, people=1) @ picture.vector) < 0.9999
    assert (picture.covered[round(top) : round(bottom), round(left) : round(right)] == 0).all()


def test_the_thumbnail_is_small_covered_and_without_metadata(preparer: Preparer) -> None:
    exif = Image.Exif()
    exif[0x010E] = "marker-in-the-metadata"
    data = jpeg(Image.open(PHOTOS / "astronaut.jpg"), exif=exif.tobytes(), comment=b"marker-in-the-comment")
    assert b"marker-in-the" in data
    picture = preparer.image(data)
    thumbnail = Image.open(BytesIO(picture.thumbnail))
    assert thumbnail.format == "JPEG"
    assert max(thumbnail.size) == 128
    assert b"marker-in-the" not in picture.thumbnail
    assert b"Exif" not in picture.thumbnail
    assert not thumbnail.getexif()
    assert FaceFinder().find(np.asarray(thumbnail.convert("RGB"))) == []


def test_faces_are_found_after_turning_by_exif(preparer: Preparer) -> None:
    upright = Image.open(PHOTOS / "admiral.jpg").convert("RGB")
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = preparer.image(jpeg(upright.transpose(turn), exif=exif.tobytes()))
        assert picture.faces_covered == 1
        assert picture.covered.shape == (600, 512, 3)


def test_words_use_only_the_semantic_part(preparer: Preparer) -> None:
    words = preparer.text("a cat")
    assert (words[:VISUAL_DIMENSION] == 0).all()
    cat, bridge = (preparer.image(PHOTOS / f"{name}.jpg") for name in ("tabby-cat", "suspension-bridge"))
    assert cat.vector @ words > bridge.vector @ words
    assert preparer.text_score_scale == pytest.approx(2**0.5)
    with pytest.raises(InvalidInput):
        preparer.text("  ")


def test_many_pictures_come_in_order_with_the_refused_ones_among_them(preparer: Preparer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((PHOTOS / "drum.jpg").read_bytes()[:500])
    names = ["drum.jpg", "villa.jpg", "espresso.jpg", "cameraman.jpg", "dahlia.jpg", "pagoda.jpg"]
    sources = [PHOTOS / names[0], broken, *(PHOTOS / name for name in names[1:]), tmp_path / "missing.jpg"]
    results = list(preparer.images(sources))
    assert [source for source, _ in results] == sources
    refused = {source for source, result in results if isinstance(result, ImageRefused)}
    assert refused == {broken, tmp_path / "missing.jpg"}
    for source, result in results:
        if isinstance(result, PreparedImage):
            assert (result.vector == preparer.image(source).vector).all()


def test_images_stops_working_when_nobody_asks_for_more(preparer: Preparer) -> None:
    asked: list[int] = []

    def endless() -> Iterator[Path]:
        while True:
            asked.append(1)
            yield PHOTOS / "tabby-cat.jpg"

    pictures = preparer.images(endless())
    next(pictures)
    pictures.close()  # type: ignore[attr-defined]
    assert len(asked) <= 8


def test_threads_share_one_preparer(preparer: Preparer) -> None:
    expected = preparer.image(PHOTOS / "drum.jpg").vector
    results: list[bool] = []

    def work() -> None:
        results.append(bool((preparer.image(PHOTOS / "drum.jpg").vector == expected).all()))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 5


def test_what_is_no_plain_picture_file_is_refused(preparer: Preparer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "large.jpg").write_bytes(b"")
    os.truncate(tmp_path / "large.jpg", 65 << 20)
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    bad = ["pipe.jpg", "large.jpg", "text.jpg", "empty.jpg", "missing.jpg", "."]
    for name in bad:
        with pytest.raises(ImageRefused, match="expected"):
            preparer.image(tmp_path / name)
    with pytest.raises(ImageRefused):
        preparer.image("nul\0byte.jpg")
    assert preparer.image(PHOTOS / "drum.jpg").vector.shape == (512,)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ModelMismatch, match="bundled"):
        Preparer("clip")


def test_close_leaves_no_process_behind() -> None:
    preparer = Preparer(workers=2)
    list(preparer.images([PHOTOS / "drum.jpg"] * 2))
    running = [child.process_id for child in preparer._decoder._children._resting.queue if child]
    assert running
    preparer.close()
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_words_and_pictures_of_the_bundled_model_import_no_torch_and_no_video_decoder() -> None:
    program = (
        "import sys\n"
        "from unseen_client import Client\n"
        "from unseen_client.prepare import Preparer\n"
        "with Preparer(workers=1) as preparer:\n"
        "    preparer.text('a dog')\n"
        f"    preparer.image({str(PHOTOS / 'dahlia.jpg')!r})\n"
        "print([one for one in ('torch', 'transformers', 'open_clip', 'cv2', 'pyarrow') if one in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
