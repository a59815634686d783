from __future__ import annotations

import os
import resource
import signal
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from unseen.errors import ImageRefused, InvalidConfiguration
from unseen.pixels import Pixels
from unseen_client import child_limits
from unseen_client.child_limits import CPU_S_IN_ALL
from unseen_client.child_process import ChildProcess
from unseen_client.decode import Decoder
from unseen_client.decode_child import CPU_S_PER_PICTURE
from unseen_client.deid import dicom_file, frames_child

PHOTO = Path(__file__).parents[2] / "examples" / "demo" / "photos" / "tabby-cat.jpg"
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as running:
        yield running


def child_of(decoder: Decoder) -> ChildProcess:
    """The process that decoded the last picture."""
    running = decoder._children._resting.queue[-1]
    assert running is not None
    return running


def encoded(picture: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def drawn(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Four plain quarters: nothing that a lossy format or another rounding could hide."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = (255, 255, 255)
    return Image.fromarray(pixels).convert(mode)


def close_to(pixels: Pixels, expected: Image.Image, tolerance: float = 6.0) -> bool:
    return pixels.shape == (expected.height, expected.width, 3) and bool(
        np.abs(pixels.astype(float) - np.asarray(expected.convert("RGB"), float)).mean() <= tolerance
    )


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_every_format_of_the_list_gives_the_same_picture(decoder: Decoder, kind: str, how: dict[str, Any]) -> None:
    assert close_to(decoder.decode(encoded(drawn(), kind, **how)), drawn())


@pytest.mark.parametrize("kind", ["PPM", "ICO", "PCX", "TGA", "JPEG2000"])
def test_formats_off_the_list_are_refused(decoder: Decoder, kind: str) -> None:
    with pytest.raises(ImageRefused, match="known kind"):
        decoder.decode(encoded(drawn(), kind))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(decoder: Decoder, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = drawn()
    stored.getexif()[0x0112] = orientation
    twin = ImageOps.exif_transpose(stored)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = encoded(drawn(), kind, exif=exif.tobytes(), **({"quality": 95} if kind == "JPEG" else {}))
        assert close_to(decoder.decode(data), twin), kind


def test_orientation_that_cannot_be_read_is_refused(decoder: Decoder) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05" + b"\xff" * 9
    with pytest.raises(ImageRefused, match="orientation"):
        decoder.decode(encoded(drawn(), "JPEG", exif=exif))
    assert decoder.decode(encoded(drawn(), "PNG")).shape == (40, 60, 3)


def test_transparent_parts_become_white(decoder: Decoder) -> None:
    clear = drawn(mode="RGBA")
    clear.putalpha(0)
    assert (decoder.decode(encoded(clear, "PNG")) == 255).all()
    half = Image.new("LA", (4, 4), (0, 128))
    assert abs(int(decoder.decode(encoded(half, "PNG"))[0, 0, 0]) - 127) <= 1
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30])
    assert (decoder.decode(encoded(palette, "PNG", transparency=0)) == 255).all()


def test_only_the_first_frame_of_an_animation_counts(decoder: Decoder) -> None:
    others = [Image.new("RGB", (60, 40), "black")] * 3
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(
            drawn(), kind, save_all=True, append_images=others, **({"lossless": True} if kind == "WEBP" else {})
        )
        assert close_to(decoder.decode(data), drawn()), kind


def test_deep_grey_keeps_its_shape(decoder: Decoder) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(8, axis=0)
    expected = (ramp / 257).astype(np.uint8)
    for picture, kind in ((Image.fromarray(ramp), "PNG"), (Image.fromarray(ramp), "TIFF")):
        assert np.abs(decoder.decode(encoded(picture, kind))[..., 0].astype(int) - expected).max() <= 1
    for wide in (Image.fromarray(ramp.astype(np.int32) * 1000), Image.fromarray(ramp.astype(np.float32) / 65535 - 3)):
        assert np.abs(decoder.decode(encoded(wide, "TIFF"))[..., 0].astype(int) - expected).max() <= 1


def test_cmyk_jpeg_becomes_rgb(decoder: Decoder) -> None:
    assert close_to(decoder.decode(encoded(drawn(mode="CMYK"), "JPEG", quality=95)), drawn())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"]),
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
    thin=st.sampled_from(["", "width", "height"]),
)
def test_odd_sizes_and_modes_decode_like_the_plain_way(
    decoder: Decoder, width: int, height: int, mode: str, kind: str, thin: str
) -> None:
    width, height = (1 if thin == "width" else width), (1 if thin == "height" else height)
    picture = Image.new("I;16", (width, height), 40000) if mode == "I;16" else drawn(width, height).convert(mode)
    try:
        data = encoded(picture, kind)
    except (OSError, ValueError):
        return  # this format has no such mode
    pixels = decoder.decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (height, width, 3)
    if mode not in {"I;16", "LA", "RGBA"}:
        assert close_to(pixels, Image.open(BytesIO(data)), 2.0)


def test_large_pictures_are_reduced_and_keep_their_proportions(decoder: Decoder) -> None:
    for size in ((3000, 2000), (2000, 3000), (20000, 1)):
        pixels = decoder.decode(encoded(drawn(*size), "PNG"))
        assert max(pixels.shape[:2]) == 1280
        assert min(pixels.shape[:2]) == max(1, round(1280 * min(size) / max(size)))
    jpeg = decoder.decode(encoded(drawn(6000, 4000), "JPEG"))
    assert close_to(jpeg, drawn(6000, 4000).resize((1280, 853)))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int, bits: int = 1) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side * bits // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def text_bomb() -> bytes:
    text = b"Comment\0\0" + zlib.compress(bytes(200 * MEBIBYTE), 9)
    return encoded(drawn(), "PNG")[:33] + png_chunk(b"zTXt", text) + encoded(drawn(), "PNG")[33:]


BOMBS = {
    "png of 13000 x 13000": lambda: png_bomb(13000),
    "png of 7000 x 7000": lambda: png_bomb(7000),
    "bmp header": lambda: (
        encoded(drawn(), "BMP")[:18] + struct.pack("<ii", 60000, 60000) + encoded(drawn(), "BMP")[26:]
    ),
    "gif screen": lambda: encoded(drawn(), "GIF")[:6] + struct.pack("<HH", 65535, 65535) + encoded(drawn(), "GIF")[10:],
    "gif frame": lambda: gif_frame_bomb(),
    "tiff size": lambda: tiff_bomb(),
}


def gif_frame_bomb() -> bytes:
    data = bytearray(encoded(drawn(), "GIF"))
    frame = data.index(b",\0\0\0\0")
    data[frame + 5 : frame + 9] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


def tiff_bomb() -> bytes:
    data = encoded(drawn(), "TIFF")
    for tag, value in ((256, 60), (257, 40)):
        for kind in (3, 4):
            old = struct.pack("<HHII", tag, kind, 1, value)
            data = data.replace(old, struct.pack("<HHII", tag, 4, 1, 100_000))
    return data


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_and_memory_stays_flat(decoder: Decoder, name: str) -> None:
    data = BOMBS[name]()
    assert len(data) < 50_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageRefused):
        decoder.decode(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before <= 16 * 1024
    assert decoder.decode(PHOTO.read_bytes()).shape == (300, 451, 3)


def test_compressed_text_in_a_png_does_not_inflate(decoder: Decoder) -> None:
    with pytest.raises(ImageRefused, match="broken"):
        decoder.decode(text_bomb())


def test_a_picture_beyond_the_memory_limit_is_refused(decoder: Decoder) -> None:
    decoder.decode(PHOTO.read_bytes())
    resource.prlimit(child_of(decoder).process_id, resource.RLIMIT_AS, (150 * MEBIBYTE, 150 * MEBIBYTE))
    with pytest.raises(ImageRefused, match="MiB"):
        decoder.decode(encoded(drawn(6000, 6000), "PNG", compress_level=1))
    assert decoder.decode(PHOTO.read_bytes()).shape == (300, 451, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_files_are_refused_or_whole(decoder: Decoder, kind: str) -> None:
    data = encoded(drawn(), kind)
    for length in [*range(0, 24, 4), *(len(data) * part // 12 for part in range(1, 12)), len(data) - 1]:
        try:
            assert decoder.decode(data[:length]).shape == (40, 60, 3)
        except ImageRefused as refusal:
            assert "expected" in str(refusal)
    for length in (0, 10, len(data) // 3):
        with pytest.raises(ImageRefused):
            decoder.decode(data[:length])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"]),
)
def test_any_bytes_are_refused_and_the_parent_lives(decoder: Decoder, noise: bytes, head: bytes) -> None:
    try:
        pixels = decoder.decode(head + noise)
    except ImageRefused:
        return
    assert pixels.dtype == np.uint8


def test_a_child_that_does_not_answer_in_time_is_stopped_and_the_next_picture_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Decoder() as decoder:
        decoder.decode(PHOTO.read_bytes())
        os.kill(child_of(decoder).process_id, signal.SIGSTOP)
        with monkeypatch.context() as hasty:
            hasty.setattr(decoder, "_timeout_s", 0.5)
            with pytest.raises(ImageRefused, match=r"over 0\.5 s"):
                decoder.decode(PHOTO.read_bytes())
        assert decoder.decode(PHOTO.read_bytes()).shape == (300, 451, 3)


def test_a_child_that_dies_costs_one_picture(decoder: Decoder) -> None:
    for how in (signal.SIGKILL, signal.SIGSEGV):
        decoder.decode(PHOTO.read_bytes())
        pid = child_of(decoder).process_id
        os.kill(pid, how)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ImageRefused, match="broke the process"):
            decoder.decode(PHOTO.read_bytes())
        assert decoder.decode(PHOTO.read_bytes()).shape == (300, 451, 3)


def test_the_child_uses_its_computing_time_or_dies(decoder: Decoder) -> None:
    decoder.decode(PHOTO.read_bytes())
    resource.prlimit(child_of(decoder).process_id, resource.RLIMIT_CPU, (2, 2))
    heavy = encoded(drawn(5000, 5000), "PNG", compress_level=1)
    with pytest.raises(ImageRefused, match="too many seconds of computing"):
        decode_many(decoder, heavy, 200)


def decode_many(decoder: Decoder, data: bytes, times: int) -> None:
    for _ in range(times):
        decoder.decode(data)


def test_the_limits_hold_in_the_child(decoder: Decoder) -> None:
    assert decoder.limits() == {"memory", "cpu", "files"}
    pid = child_of(decoder).process_id
    assert resource.prlimit(pid, resource.RLIMIT_AS) == (512 * MEBIBYTE, 512 * MEBIBYTE)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == (0, 0)
    decoder.decode(PHOTO.read_bytes())
    soft, hard = resource.prlimit(child_of(decoder).process_id, resource.RLIMIT_CPU)
    assert (soft <= 2 * CPU_S_PER_PICTURE, hard) == (True, CPU_S_IN_ALL)


@pytest.mark.parametrize(("limit", "name"), [("RLIMIT_AS", "memory"), ("RLIMIT_CPU", "cpu"), ("RLIMIT_FSIZE", "files")])
def test_a_limit_that_the_system_refuses_is_not_claimed(monkeypatch: pytest.MonkeyPatch, limit: str, name: str) -> None:
    def setrlimit(what: int, most: tuple[int, int]) -> None:
        if what == getattr(resource, limit):
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    held = child_limits._limited(512 * MEBIBYTE)
    assert {of for bit, of in child_limits.LIMITS.items() if held & bit} == {"memory", "cpu", "files"} - {name}


def test_a_child_is_replaced_before_its_computing_is_used_up() -> None:
    largest = frames_child.CPU_S_PER_OBJECT + dicom_file.LARGEST_FILE_BYTES // frames_child.BYTES_PER_CPU_S
    assert child_limits.REPLACED_AFTER_S + largest < CPU_S_IN_ALL
    with Decoder() as decoder:
        decoder.decode(PHOTO.read_bytes())
        first = child_of(decoder)
        assert 0 < first.worked_s < child_limits.REPLACED_AFTER_S
        assert child_of(decoder) is first
        first.worked_s = child_limits.REPLACED_AFTER_S
        decoder.decode(PHOTO.read_bytes())
        assert child_of(decoder) is not first


def test_the_child_sees_no_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSEEN_TOKEN", "marker-of-a-secret")
    with Decoder() as fresh:
        fresh.limits()
        assert b"marker-of-a-secret" not in Path(f"/proc/{child_of(fresh).process_id}/environ").read_bytes()


def test_children_are_reused_and_replaced_in_time() -> None:
    with Decoder(pictures_per_child=2) as decoder:
        pids = []
        for _ in range(5):
            decoder.decode(encoded(drawn(), "PNG"))
            pids.append(child_of(decoder).process_id)
        assert pids[0] == pids[1]
        assert pids[2] == pids[3]
        assert len(set(pids)) == 3


def test_close_leaves_no_process_behind() -> None:
    decoder = Decoder()
    decoder.decode(encoded(drawn(), "PNG"))
    pid = child_of(decoder).process_id
    decoder.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_large_files_are_refused_before_they_are_sent(decoder: Decoder) -> None:
    with pytest.raises(ImageRefused, match="expected at most"):
        decoder.decode(bytes(65 * MEBIBYTE))


@pytest.mark.parametrize("wrong", [{"longest_side_px": 0}, {"timeout_s": 0}, {"pictures_per_child": 0}])
def test_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration):
        Decoder(**wrong)


def test_the_decoder_says_whether_the_file_said_which_side_is_up(decoder: Decoder) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        assert decoder.picture(encoded(drawn(), "JPEG", exif=exif.tobytes())).upright
    silent = Image.Exif()
    silent[0x010E] = "no word of orientation"
    nonsense = Image.Exif()
    nonsense[0x0112] = 9
    for exif in (silent, nonsense):
        assert not decoder.picture(encoded(drawn(), "JPEG", exif=exif.tobytes())).upright
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        assert not decoder.picture(encoded(drawn(), kind)).upright


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("WEBP", "RGB")])
def test_pictures_of_many_bands_come_whole(kind: str, mode: str) -> None:
    """Pixels are converted and sent 256 rows at a time: every row must be its own."""
    rows = np.arange(700, dtype=np.uint8)[:, None, None].repeat(300, 1).repeat(3, 2)
    picture = Image.fromarray(rows).convert(mode)
    ways: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}
    with Decoder(longest_side_px=65_535) as whole:
        pixels = whole.decode(encoded(picture, kind, **ways.get(kind, {})))
    assert np.abs(pixels.astype(int) - rows).max() <= (2 if kind == "JPEG" else 0)


def test_whole_pictures_of_forty_megapixels_pass_when_asked_for() -> None:
    with Decoder(longest_side_px=65_535, timeout_s=300) as whole:
        assert whole.decode(encoded(Image.new("RGBA", (6324, 6324)), "PNG", compress_level=1)).shape == (6324, 6324, 3)
