"""`unseen deid` as scripts and people meet it: exit codes, JSON, words, and that no server is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.real_server import ENVIRONMENT, ROOT
from unseen.errors import InvalidInput
from unseen_client.cli.face_options import FaceOptions

PHOTOS = ROOT / "examples/demo/photos"
Deid = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def deid() -> Deid:
    """Runs the command as a process of its own; there is no server."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "deid", *map(str, arguments)]
        known = ENVIRONMENT | {"UNSEEN_SERVER": "127.0.0.1:1"}
        return subprocess.run(command, capture_output=True, text=True, env=known, timeout=120, check=False)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("astronaut.jpg", "drum.jpg"):
        shutil.copy(PHOTOS / name, folder)
    return folder


def test_a_folder_is_covered_and_told_in_words(deid: Deid, photos: Path, tmp_path: Path) -> None:
    done = deid(photos, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "2 done; 1 places covered",
        f"report: {tmp_path / 'out.report.jsonl'}",
    ]
    assert "files" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["astronaut.jpg", "drum.jpg"]


def test_json_names_every_file_with_what_was_found(deid: Deid, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    options = [
        "--method",
        "mosaic",
        "--cells",
        3,
        "--shape",
        "box",
        "--cover",
        "0,0.9,1,1",
        "--format",
        "png",
        "--json",
    ]
    done = deid(photos, tmp_path / "out", *options)
    assert (done.returncode, done.stderr) == (4, "")
    told = json.loads(done.stdout)
    assert (told["done"], told["refused"], told["covered"]) == (2, 1, 3)
    files = {one["source"]: one for one in told["files"]}
    assert files["broken.jpg"]["code"] == "IMAGE_REFUSED"
    assert files["astronaut.jpg"]["target"] == "astronaut.jpg.png"
    assert files["astronaut.jpg"]["facts"]["faces"][0]["score"] > 0.8
    assert (tmp_path / "out" / "drum.jpg.png").read_bytes().startswith(b"\x89PNG")


def test_when_nothing_could_be_written_the_command_failed(deid: Deid, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    done = deid(tmp_path / "broken.jpg", tmp_path / "out.jpg")
    assert done.returncode == 1
    assert "refused broken.jpg: got a file that is no picture of a known kind" in done.stdout
    assert not (tmp_path / "out.jpg").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["{photos}", "{photos}/out"],
        ["nowhere-at-all", "{out}"],
        ["{photos}", "{out}", "--threshold", "2"],
        ["{photos}", "{out}", "--cover", "all of it"],
        ["{photos}", "{out}", "--cover", "0,0,2,2"],
        ["{photos}", "{out}", "--look", "8"],
        ["{photos}", "{out}", "--format", "gif"],
        ["{photos}", "{out}", "--method", "gaussian"],
        ["{photos}"],
    ],
)
def test_a_wrong_command_does_nothing_and_says_why(
    deid: Deid, photos: Path, tmp_path: Path, arguments: list[str]
) -> None:
    done = deid(*(one.format(photos=photos, out=tmp_path / "out") for one in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_options_become_settings() -> None:
    settings = FaceOptions(threshold=0.4, cover=["0,0,1,0.1", "0.5,0.5,1,1"], keep=["0, 0, 0.1, 0.1"], look=[1280, 640])
    chosen = settings.settings()
    assert chosen.threshold == 0.4
    assert chosen.always_cover == ((0, 0, 1, 0.1), (0.5, 0.5, 1, 1))
    assert chosen.never_cover == ((0, 0, 0.1, 0.1),)
    assert chosen.long_sides_px == (1280, 640)
    with pytest.raises(InvalidInput, match="four shares"):
        FaceOptions(cover=["0,0,1"]).settings()
