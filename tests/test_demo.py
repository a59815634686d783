"""The demo, end to end, with a real server: what it promises holds, it leaves nothing, and it fails when it should."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.protobuf_bytes import varint
from unseen.he.quantise import quantise_query
from unseen_client import records
from unseen_client.demo import main, run
from unseen_client.demo.findings import WORST_MEDIAN_RANK
from unseen_client.demo.material import REPOSITORY_FOLDER
from unseen_client.demo.secrets import CAPTIONS, ENROLLED_INT16, FORBIDDEN, KEYS, PATHS, QUERY_VECTORS, THUMBNAILS
from unseen_client.flows import enrol_stream, search, sync

DEMO = [sys.executable, "-c", "import sys; from unseen_client.demo import main; sys.exit(main(sys.argv[1:]))"]
INTERRUPTIBLE_DEMO = [
    sys.executable,
    "-c",
    f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {DEMO[-1]}",
]
"""What a terminal starts: a job in the background would have been told to ignore interrupts."""
TIMEOUT_S = 400
UNKNOWN_FIELD = bytes([15 << 3 | 2])
"""Tag of a run of bytes as field 15, which no message of the contract has."""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo, told nothing else, puts its private folder."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder of three photographs."""
    folder = tmp_path / "few"
    folder.mkdir()
    for name in ("tabby-cat.jpg", "espresso.jpg", "astronaut.jpg"):
        shutil.copy(REPOSITORY_FOLDER / "photos" / name, folder)
    return folder


def _processes_about(folder: Path) -> list[str]:
    """Command lines of running processes that name a path under ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def _nothing_left(scratch: Path) -> bool:
    return not list(scratch.iterdir()) and not _processes_about(scratch)


def test_the_demo_keeps_its_promises_and_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run([*DEMO, "--json", "--out", str(out)], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results == json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["faults"] == []
    assert results["enrolled"] == 36
    assert results["faces_covered"] >= 3
    assert np.median([query["rank"] for query in results["queries"]]) <= WORST_MEDIAN_RANK
    seen = {sighting["kind"]: sighting for sighting in results["seen"]}
    assert set(seen) == {*FORBIDDEN, ENROLLED_INT16}
    assert all(seen[kind]["pieces"] > 0 and seen[kind]["received"] == seen[kind]["kept"] == 0 for kind in FORBIDDEN)
    assert seen[ENROLLED_INT16]["received"] == seen[ENROLLED_INT16]["pieces"], "the search must see what was sent"
    assert seen[ENROLLED_INT16]["kept"] == 0
    assert results["agreement"]["overlap_at_10"] > 0.95
    assert results["agreement"]["score_error_std_pictures"] <= 0.003
    with Image.open(out / "contact-sheet.png") as sheet:
        assert sheet.width > 1500
        assert sheet.height > 1500
    assert _nothing_left(scratch)


def test_a_folder_of_ones_own_is_searched(tmp_path: Path, scratch: Path, few: Path) -> None:
    (few / "broken.jpg").write_bytes(b"no picture at all")
    out = tmp_path / "out"
    assert main(["--images", str(few), "--out", str(out)]) == 0
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["enrolled"] == 3
    assert [refusal["code"] for refusal in results["refused"]] == ["IMAGE_REFUSED"]
    assert [query["rank"] for query in results["queries"]] == [1, 1, 1]
    assert _nothing_left(scratch)


def test_a_folder_in_which_nothing_can_be_enrolled_is_refused(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "one.jpg").write_bytes(b"no picture at all")
    with pytest.raises(SystemExit) as ended:
        main(["--images", str(tmp_path / "broken"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert _nothing_left(scratch)


@pytest.fixture
def unsealed_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose sealing does nothing: the bug that the demo exists to show."""

    def seal_nothing(record_key: bytes, collection_uid: bytes, record: records.Record, scale: int = 0) -> bytes:
        return records.pad(records.encode_record(record, scale))

    def open_nothing(record_key: bytes, collection_uid: bytes, row: bytes, sealed: bytes) -> records.Record:
        return records.decode_record(records.unpad(sealed))

    monkeypatch.setattr(enrol_stream, "seal_record", seal_nothing)
    monkeypatch.setattr(sync, "open_record", open_nothing)


@pytest.mark.usefixtures("unsealed_records")
def test_a_client_that_forgets_to_seal_is_found_out(tmp_path: Path, scratch: Path, few: Path) -> None:
    out = tmp_path / "out"
    assert main(["--images", str(few), "--out", str(out)]) == 1
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    leaked = {sighting["kind"] for sighting in results["seen"] if sighting["received"]}
    assert {PATHS, THUMBNAILS} <= leaked
    assert f"{PATHS}: leaked" in results["faults"]
    assert not {CAPTIONS, KEYS} & leaked
    assert _nothing_left(scratch)


def test_a_client_that_sends_the_query_along_is_found_out(
    tmp_path: Path, scratch: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain query travels in a field that the server does not know and passes over."""
    encrypt, make_requests = search._encrypt, search._requests
    plain: list[bytes] = []

    def encrypt_and_remember(session, parameters, packing, vector):
        plain.append(quantise_query(parameters, vector).astype("<i4").tobytes())
        return encrypt(session, parameters, packing, vector)

    def requests_with_the_plain_query(collection, query, purpose):
        header, *chunks = make_requests(collection, query, purpose)
        header.MergeFromString(UNKNOWN_FIELD + varint(len(plain[-1])) + plain[-1])
        return [header, *chunks]

    monkeypatch.setattr(search, "_encrypt", encrypt_and_remember)
    monkeypatch.setattr(search, "_requests", requests_with_the_plain_query)
    out = tmp_path / "out"
    assert main(["--images", str(few), "--out", str(out)]) == 1
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["faults"] == [f"{QUERY_VECTORS}: leaked"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_demo_early_leaves_nothing(tmp_path: Path, scratch: Path, ending: signal.Signals) -> None:
    command = [*INTERRUPTIBLE_DEMO, "--out", str(tmp_path / "out")]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert demo.stdout is not None
    for line in demo.stdout:
        if b"enrolling" in line:
            break
    assert _processes_about(scratch), "the server must be running by now"
    os.kill(demo.pid, ending)
    demo.communicate(timeout=60)
    assert demo.returncode not in {0, 1}
    assert _nothing_left(scratch)


def test_a_demo_that_fails_leaves_nothing(
    tmp_path: Path, scratch: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(run.Scene, "_ask", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        main(["--images", str(few), "--out", str(tmp_path / "out")])
    assert _nothing_left(scratch)
