from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from unseen.deid.settings import DeidSettings
from unseen.errors import ImageRefused, InvalidConfiguration
from unseen_client.deid.photo import PhotoFormat, PhotoOutput, PhotoPipeline
from unseen_client.prepare import Preparer

PHOTOS = Path(__file__).parents[3] / "examples" / "demo" / "photos"
MARKER = "marker-of-the-metadata"


@pytest.fixture(scope="module")
def pipeline() -> Iterator[PhotoPipeline]:
    running = PhotoPipeline(DeidSettings(), PhotoOutput(), workers=1)
    yield running
    running.close()


def marked(kind: str) -> bytes:
    """The astronaut with a marker in every kind of metadata that the format has."""
    picture = Image.open(PHOTOS / "astronaut.jpg").convert("RGB").resize((300, 300))
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = MARKER
    exif.get_ifd(0x8825)[29] = MARKER
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    how: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": profile + MARKER.encode()}
    if kind == "JPEG":
        how["comment"] = MARKER
    if kind in {"JPEG", "WEBP", "PNG", "TIFF"}:
        how["xmp"] = f"<x>{MARKER}</x>".encode()
    if kind == "GIF":
        how = {"comment": MARKER}
    buffer = BytesIO()
    picture.save(buffer, kind, **how)
    assert MARKER.encode() in buffer.getvalue()
    return buffer.getvalue() + MARKER.encode()


BECOMES = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WEBP", "GIF": "PNG", "TIFF": "PNG"}
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
ALLOWED: dict[str, set[Any]] = {
    "JPEG": {0xE0, 0xDB, 0xC0, 0xC4, 0xDA},  # JFIF, tables, frame, scan: no EXIF, profile or comment
    "PNG": {b"IHDR", b"IDAT", b"IEND"},
    "WEBP": {b"VP8 "},
}
HARMLESS = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background", "timestamp", "duration"}


def parts(data: bytes) -> set[Any]:
    """The kinds of segments or chunks that a JPEG (up to its scan), a PNG or a WebP is made of."""
    found: set[Any] = set()
    at = {b"\xff\xd8": 2, b"\x89P": 8, b"RI": 12}[data[:2]]
    while at < len(data) and 0xDA not in found:
        if data[:2] == b"\xff\xd8":
            found.add(data[at + 1])
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        elif data[:2] == b"\x89P":
            found.add(data[at + 4 : at + 8])
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        else:
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            found.add(data[at : at + 4])
            at += 8 + size + size % 2
    return found


@pytest.mark.parametrize(("kind", "becomes"), BECOMES.items())
def test_the_output_holds_the_covered_pixels_and_nothing_else_of_the_file(
    pipeline: PhotoPipeline, kind: str, becomes: str
) -> None:
    cleaned = pipeline.clean(marked(kind))
    assert cleaned.suffix == SUFFIXES[becomes]
    assert cleaned.covered == 1
    assert MARKER.encode() not in cleaned.data
    assert parts(cleaned.data) <= ALLOWED[becomes]
    picture = Image.open(BytesIO(cleaned.data))
    assert picture.format == becomes
    assert picture.size == (300, 300)
    assert set(picture.info) <= HARMLESS
    left, top, right, bottom = (round(side) for side in cleaned.facts["faces"][0]["box"])
    assert np.asarray(picture.convert("RGB"))[top + 3 : bottom - 3, left + 3 : right - 3].max() < 16


def test_pictures_keep_their_size_unless_asked(pipeline: PhotoPipeline) -> None:
    buffer = BytesIO()
    Image.open(PHOTOS / "drum.jpg").resize((1800, 1200)).save(buffer, "JPEG")
    assert Image.open(BytesIO(pipeline.clean(buffer.getvalue()).data)).size == (1800, 1200)
    smaller = PhotoPipeline(DeidSettings(), PhotoOutput(PhotoFormat.WEBP, longest_side_px=600), workers=1)
    assert Image.open(BytesIO(smaller.clean(buffer.getvalue()).data)).size == (600, 400)
    smaller.close()


def test_enrolment_embeds_the_very_pixels_that_deid_writes() -> None:
    settings = DeidSettings(mask_scale=1.5, always_cover=((0, 0.9, 1, 1),))
    buffer = BytesIO()
    Image.open(PHOTOS / "admiral.jpg").resize((1450, 1700)).save(buffer, "JPEG", quality=95)
    pipeline = PhotoPipeline(settings, PhotoOutput(PhotoFormat.PNG, longest_side_px=1280), workers=1)
    written = np.asarray(Image.open(BytesIO(pipeline.clean(buffer.getvalue()).data)))
    pipeline.close()
    with Preparer(deid=settings, workers=1) as preparer:
        prepared = preparer.image(buffer.getvalue())
    assert prepared.faces_covered == 1
    assert prepared.report.settings == settings
    assert written.shape == (1280, 1092, 3)
    assert (written == prepared.covered).all()


def test_a_preview_shows_the_face_and_its_box(pipeline: PhotoPipeline) -> None:
    data = (PHOTOS / "admiral.jpg").read_bytes()
    preview = pipeline.preview(data)
    shown, whole = np.asarray(Image.open(BytesIO(preview.data))), np.asarray(Image.open(PHOTOS / "admiral.jpg"))
    assert preview.suffix == ".png"
    assert preview.facts == pipeline.clean(data).facts
    left, top, right, bottom = (round(side) for side in preview.facts["faces"][0]["box"])
    inside = (slice(top + 8, bottom - 8), slice(left + 8, right - 8))
    assert (shown[inside] == whole[inside]).all()
    assert (shown != whole).any()


def test_the_description_changes_with_whatever_decides_the_output() -> None:
    def described(settings: DeidSettings, output: PhotoOutput) -> str:
        return repr(PhotoPipeline(settings, output, workers=1).description())

    plain = described(DeidSettings(), PhotoOutput())
    assert plain == described(DeidSettings(), PhotoOutput())
    assert "5f386a786d3316c0" in plain
    for settings, output in (
        (DeidSettings(threshold=0.3), PhotoOutput()),
        (DeidSettings(always_cover=((0, 0, 1, 1),)), PhotoOutput()),
        (DeidSettings(), PhotoOutput(quality=80)),
        (DeidSettings(), PhotoOutput(PhotoFormat.PNG)),
        (DeidSettings(), PhotoOutput(longest_side_px=800)),
    ):
        assert described(settings, output) != plain


def test_what_cannot_be_decoded_is_refused(pipeline: PhotoPipeline) -> None:
    for data in (b"", b"\xff\xd8\xff\xe0 no picture", (PHOTOS / "drum.jpg").read_bytes()[:900]):
        with pytest.raises(ImageRefused, match="expected"):
            pipeline.clean(data)
        with pytest.raises(ImageRefused):
            pipeline.preview(data)


@pytest.mark.parametrize(
    "wrong", [{"format": "gif"}, {"quality": 0}, {"quality": 101}, {"longest_side_px": 8}, {"longest_side_px": 70_000}]
)
def test_senseless_outputs_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration, match="expected"):
        PhotoOutput(**wrong)
