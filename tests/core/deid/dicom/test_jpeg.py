"""Comments in compressed pixels are zeroed, nothing else changes, and every decoder sees the same picture."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from tests.core.deid.dicom.planting import as_file, base_object, finish
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.jpeg import blanked
from unseen.errors import ImageRefused

NAME = b"COMMENTDOE^JANE 19700102"


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8))


def jpeg(seed: int = 0, **settings: object) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "JPEG", **settings)
    return buffer.getvalue()


def jpeg_2000(seed: int = 0, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "JPEG2000", no_jp2=True)
    data = buffer.getvalue()
    if not comment:
        return data
    at = data.index(b"\xff\x52")
    return data[:at] + b"\xff\x64" + struct.pack(">HH", len(comment) + 4, 1) + comment + data[at:]


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + data[2:]


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xE2, 0xED, 0xEF, 0xE0, 0xEE])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_comment_or_application_segment_is_zeroed_and_the_picture_stays(marker: int, progressive: bool) -> None:
    data = with_segment(jpeg(progressive=progressive), marker, NAME)
    clean, count = blanked(data)
    assert count == 1
    assert NAME not in clean
    assert len(clean) == len(data)
    np.testing.assert_array_equal(decoded(clean), decoded(data))


def test_a_comment_between_the_scans_of_a_progressive_picture_is_found() -> None:
    data = jpeg(progressive=True)
    scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    before_tables = data.rindex(b"\xff\xc4", 0, scan)
    hidden = data[:before_tables] + b"\xff\xfe" + struct.pack(">H", len(NAME) + 2) + NAME + data[before_tables:]
    clean, count = blanked(hidden)
    assert (count, NAME in clean) == (1, False)
    np.testing.assert_array_equal(decoded(clean), decoded(data))


def test_text_behind_the_end_of_a_picture_is_zeroed() -> None:
    clean, count = blanked(jpeg() + NAME)
    assert (count, NAME in clean) == (1, False)


def test_a_plain_picture_passes_byte_for_byte() -> None:
    for data in (jpeg(), jpeg(progressive=True), jpeg_2000(), jpeg() + b"\0" + jpeg(1)):
        clean, count = blanked(data)
        assert clean is data
        assert count == 0


@pytest.mark.parametrize("frames", [1, 3])
def test_a_comment_of_jpeg_2000_is_zeroed_in_every_frame(frames: int) -> None:
    stream = b"".join(jpeg_2000(seed, NAME) for seed in range(frames))
    clean, count = blanked(stream)
    assert (count, NAME in clean) == (frames, False)
    assert len(clean) == len(stream)
    np.testing.assert_array_equal(decoded(clean[: len(stream) // frames]), decoded(jpeg_2000(0)))


@pytest.mark.parametrize(
    "stream",
    [
        b"no picture at all",
        b"\x00\x00\x00\x0cjP  \r\n\x87\n",
        jpeg()[:200],
        b"\xff\xd8\xff\xe0\x00",
        b"\xff\xd8\xff\xe0\x00\x01",
        b"\xff\xd8hello",
        with_segment(jpeg(), 0xF5, NAME),
        b"\xff\x4f\xff\x51\xff\xff",
        b"\xff\x4fhello",
        b"\xff\x4f\xff\x30\x00\x10" + NAME,
        b"\xff\x4f\xff\x93",
    ],
)
def test_what_is_no_jpeg_stream_is_refused(stream: bytes) -> None:
    with pytest.raises(ImageRefused):
        blanked(stream)


def compressed(frames: list[bytes], syntax: str) -> bytes:
    dataset = base_object("XA")
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 32, 32, len(frames)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return as_file(finish(dataset, [], random.Random(0), syntax).dataset)


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


@pytest.mark.parametrize("with_comment", [False, True])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless])
def test_frames_of_an_object_lose_their_comments_and_nothing_else(
    syntax: str, with_comment: bool, site_key: bytes
) -> None:
    if syntax == JPEGBaseline8Bit:
        frames = [with_segment(jpeg(seed), 0xFE, NAME) if with_comment else jpeg(seed) for seed in range(3)]
    else:
        frames = [jpeg_2000(seed, NAME if with_comment else b"") for seed in range(3)]
    source = compressed(frames, syntax)
    result = deidentify(source, site_key=site_key)
    assert NAME not in result.data
    assert (read(result.data).PixelData == read(source).PixelData) is not with_comment
    assert result.report.pixel_comments_blanked == 3 * with_comment
    np.testing.assert_array_equal(read(result.data).pixel_array, read(source).pixel_array)


def test_an_offset_table_that_is_text_is_emptied(site_key: bytes) -> None:
    source = compressed([jpeg(0), jpeg(1)], JPEGBaseline8Bit)
    pixels = read(source).PixelData
    forged = source.replace(pixels[:16], pixels[:8] + b"JANE_DOE")
    result = deidentify(forged, site_key=site_key)
    assert b"JANE_DOE" not in result.data
    pixels = read(result.data).PixelData
    assert [get_frame(pixels, index, number_of_frames=2)[:-1] for index in range(2)] == [
        frame[: len(get_frame(pixels, index, number_of_frames=2)) - 1] for index, frame in enumerate([jpeg(0), jpeg(1)])
    ]


def test_text_in_the_unused_header_of_run_lengths_is_zeroed(site_key: bytes) -> None:
    dataset = base_object("US")
    dataset.compress(RLELossless, generate_instance_uid=False)
    source = as_file(finish(dataset, [], random.Random(0), RLELossless).dataset)
    header = source.index(b"\x02\0\0\0\x40\0\0\0")
    forged = source[: header + 40] + NAME[:24] + source[header + 64 :]
    result = deidentify(forged, site_key=site_key)
    assert NAME[:24] not in result.data
    np.testing.assert_array_equal(read(result.data).pixel_array, read(source).pixel_array)


def test_native_pixels_where_the_syntax_says_compressed_are_refused(site_key: bytes) -> None:
    source = compressed([jpeg()], JPEGBaseline8Bit)
    lying = source.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.1\0\0\0")
    with pytest.raises(ImageRefused, match="not encoded as the transfer syntax says"):
        deidentify(lying, site_key=site_key)


def test_bytes_behind_the_last_frame_are_removed(site_key: bytes) -> None:
    dataset = base_object("CT")
    pixels = dataset.PixelData
    dataset.PixelData = pixels + NAME
    result = deidentify(
        as_file(finish(dataset, [], random.Random(0), "1.2.840.10008.1.2.1").dataset), site_key=site_key
    )
    assert read(result.data).PixelData == pixels
    assert result.report.trailing_pixel_bytes_removed == len(NAME)
