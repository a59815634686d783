"""Videos become frames with their time; hostile ones are refused, and lead nowhere."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.client.real_server import ROOT, RealServer
from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen_client import AsyncClient, Client, Query
from unseen_client.bring import video
from unseen_client.bring.sources import Choices, read_sources
from unseen_client.bring.video import REASONS, Frame, VideoReader
from unseen_client.flows.standing import as_given

PHOTOS = ROOT / "examples/demo/photos"
SHOWN = ("raccoon.jpg", "astronaut.jpg", "tiger-in-snow.jpg")
SIZE = (320, 240)
PER_SECOND = 10
SECONDS = 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the demo's photographs, each two seconds long."""
    path = tmp_path_factory.mktemp("clip") / "gate.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), float(PER_SECOND), SIZE)
    for name in SHOWN:
        pixels = shown(name)[:, :, ::-1]
        for _ in range(SECONDS * PER_SECOND):
            writer.write(np.ascontiguousarray(pixels))
    writer.release()
    return path


def shown(name: str) -> np.ndarray:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB").resize(SIZE))


def is_near(pixels: np.ndarray, name: str) -> bool:
    return bool(np.abs(pixels.astype(float) - shown(name)).mean() < 12)


def opens(file: Any) -> bool:
    return bool(cv2.VideoCapture().open(file, cv2.CAP_FFMPEG, []))


def test_a_frame_is_the_one_that_stands_at_its_time_in_any_order(clip: Path) -> None:
    reader = VideoReader()
    assert reader.length_ms(clip) == 1000 * SECONDS * len(SHOWN) - 1000 // PER_SECOND
    for at_ms in (0, 5000, 1900, 1900, 2000, 2100, 100, 5900, 3999):
        pixels = reader.frame(clip, at_ms)
        assert pixels.shape == (SIZE[1], SIZE[0], 3)
        assert is_near(pixels, SHOWN[min(2, -(-at_ms // 100) * 100 // 2000)]), at_ms
    with pytest.raises(ImageRefused, match="ends before"):
        reader.frame(clip, 6000)
    assert is_near(reader.frame(clip, 2500), SHOWN[1])  # by a fresh child
    reader.close()


def test_a_frame_is_taken_every_so_often_and_says_where_it_is_from(clip: Path) -> None:
    pictures = read_sources([clip], Choices(tags=("night",), every_s=2.5)).pictures
    frames = [frame for frame, _ in pictures if isinstance(frame, Frame)]
    assert [frame.at_ms for frame in frames] == [0, 2500, 5000]
    assert len({frame.content() for frame in frames}) == 3
    assert [record.extra for _, record in pictures] == [
        {"clip": "gate.mp4", "second": second} for second in ("0", "2.5", "5")
    ]
    assert pictures[1][1].id.endswith("@2.5")
    assert pictures[1][1].tags == ("night",)
    assert str(frames[1]) == "gate.mp4 0:00:02.5"
    assert Image.open(BytesIO(frames[1].read())).size == SIZE
    for every_s in (0, -1, float("nan"), 1e9):
        with pytest.raises(InvalidInput, match="got a frame every"):
            read_sources([clip], Choices(every_s=every_s))


def test_a_frames_name_is_its_time_and_no_other_frames() -> None:
    times = {0: "0:00:00", 20_000: "0:00:20", 59_999: "0:00:59.999", 60_000: "0:01:00", 3_723_050: "1:02:03.05"}
    for at_ms, clock in times.items():
        assert Frame(VideoReader(), Path("gate.mp4"), b"", at_ms).name == f"gate.mp4 {clock}"


def test_hostile_videos_are_refused_and_lead_to_no_other_file(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n"
    listed = f"ffconcat version 1.0\nfile '{clip}'\n"
    hostile = {
        "cut.mp4": whole[: len(whole) // 2],
        "noise.mkv": b"\x1a\x45\xdf\xa3" + bytes(5000),
        "playlist.mp4": playlist.encode(),
        "playlist.ts": playlist.encode(),
        "concat.avi": listed.encode(),
        "picture.mp4": (PHOTOS / "raccoon.jpg").read_bytes(),
        "empty.mov": b"",
    }
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match="no video of a known kind"):
            read_sources([tmp_path / name], Choices())
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InvalidInput, match="no plain file"):
        read_sources([tmp_path / "pipe.mp4"], Choices())
    reader = VideoReader()
    for at in range(0, len(whole), len(whole) // 12):  # broken somewhere: pictures, or a reason, never more
        broken = bytearray(whole)
        broken[at : at + 64] = bytes(64)
        (tmp_path / "broken.mp4").write_bytes(broken)
        try:
            assert reader.frame(tmp_path / "broken.mp4", 1000).shape[2] == 3
        except ImageRefused as refusal:
            assert str(refusal) in set(REASONS.values())
    reader.close()


def test_a_video_that_keeps_failing_is_not_opened_for_every_second_it_claims(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MOST_REFUSED_IN_A_ROW", 2)
    reader, other = VideoReader(), tmp_path / "other.mp4"
    shutil.copy(clip, other)
    for at_ms in (6000, 1000, 7000, 8000):  # a frame that can be read in between begins the count anew
        with pytest.raises(ImageRefused, match="ends before") if at_ms > 5900 else nullcontext():
            reader.frame(clip, at_ms)
    with pytest.raises(ImageRefused, match="too many frames"):
        reader.frame(clip, 1000)
    assert is_near(reader.frame(other, 1000), SHOWN[0])
    reader.close()


def test_a_video_whose_name_is_no_text_is_enrolled_as_a_picture_would_be(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    shutil.copy(clip, path)
    (_, record), *_ = read_sources([path], Choices(every_s=10)).pictures
    assert as_given(record).extra["clip"] == "caf?.mp4"


def test_only_containers_that_are_named_are_opened(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps playlists out is told to FFmpeg by OpenCV: here it is told of AVI alone, and obeys."""
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "format_whitelist;avi")
    with clip.open("rb") as file:
        assert not opens(file)
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "format_whitelist;avi,mov")
    with clip.open("rb") as file:
        assert opens(file)


async def test_a_video_is_found_by_what_it_shows_and_when(
    server: RealServer,
    name: str,
    home: Path,
    unseen: Callable[..., subprocess.CompletedProcess[str]],
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Client(server.address, home=home) as client:
        client.create_collection(name)
        done = unseen("enrol", name, clip, "--every", "2", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["enrolled"] == 3
        assert json.loads(done.stdout)["faces_covered"] == 1, "a frame goes through the face step as any picture"
        for picture, second in zip(SHOWN, ("0", "2", "4"), strict=True):
            best = client.search(name, Query.picture(PHOTOS / picture))[0]
            assert (best.record.extra["second"], best.record.extra["clip"]) == (second, "gate.mp4")
        assert len(client.search(name, Query.words("an animal"), where="second >= 1")) == 2
    monkeypatch.setattr(VideoReader, "frame", None)  # what is there is known without decoding
    async with AsyncClient(server.address, home=home) as client:
        again = await client.enrol_from(name, clip, every_s=2)
        assert (again.enrolled, len(again.already)) == (0, 3)


def test_without_the_extra_the_error_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "cv2" else real(name, *more))
    with pytest.raises(InvalidConfiguration, match=r"unseen\[video\]"):
        read_sources([clip], Choices())
