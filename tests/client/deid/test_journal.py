from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from unseen.errors import InvalidInput
from unseen_client.deid.journal import FORMAT, Journal, fingerprint
from unseen_client.deid.outcome import FileOutcome, Outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").write_bytes(b"covered")
    return tmp_path / "report.jsonl"


def write_done(path: Path, **changed: str) -> None:
    origin = {"pipeline": "p", "source_sha256": "s", "target_sha256": hashlib.sha256(b"covered").hexdigest()}
    with Journal(path) as journal:
        journal.describe("p", {"release": "1"})
        journal.write(FileOutcome("a.jpg", Outcome.DONE, "a.jpg", 2, {"faces": []}), **(origin | changed))


def before(path: Path, source_sha256: str = "s", pipeline: str = "p") -> FileOutcome | None:
    with Journal(path) as journal:
        return journal.done_before("a.jpg", source_sha256, pipeline, path.parent / "out")


def test_what_is_done_is_believed_while_output_source_and_settings_are_the_same(path: Path) -> None:
    write_done(path)
    assert before(path) == FileOutcome("a.jpg", Outcome.ALREADY, "a.jpg", 2, {"faces": []})
    assert before(path, source_sha256="another") is None
    assert before(path, pipeline="another") is None
    (path.parent / "out" / "a.jpg").write_bytes(b"changed by somebody")
    assert before(path) is None
    (path.parent / "out" / "a.jpg").unlink()
    assert before(path) is None


def test_the_last_line_about_a_file_holds(path: Path) -> None:
    write_done(path)
    with Journal(path) as journal:
        journal.write(FileOutcome("a.jpg", Outcome.REFUSED, code="IMAGE_REFUSED", reason="why"))
    assert before(path) is None
    write_done(path)
    assert before(path) is not None


def test_a_line_that_was_cut_off_is_dropped_and_the_rest_holds(path: Path) -> None:
    write_done(path)
    whole = path.read_bytes()
    more = b'{"source": "b.jpg", "outcome": "done", "target": "\xc3\xa9.jpg", "covered": 1}'
    for cut in range(1, len(more)):
        path.write_bytes(
            whole + b'{"source": "b.jpg", "outcome": "done", "target": "\xc3\xa9.jpg", "covered": 1}'[:cut]
        )
        assert before(path) is not None
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-5])
    assert before(path) is None


@pytest.mark.parametrize("count", ["true", "2.0", '"2"', "null"])
def test_a_count_that_is_none_is_not_believed(path: Path, count: str) -> None:
    write_done(path)
    said = path.read_text()
    assert '"covered":2' in said.replace(" ", "")
    path.write_text(said.replace('"covered": 2', f'"covered": {count}').replace('"covered":2', f'"covered":{count}'))
    with pytest.raises(InvalidInput, match="no report"):
        before(path)


def test_a_file_that_is_no_report_is_left_alone(path: Path) -> None:
    for text in (
        b"notes of mine\n",
        b'{"a": 1}\n',
        b'{"format": "unseen-deid-report-1"}\nnot json\n',
        b"\x89PNG\r\n\x1a\n",
    ):
        path.write_bytes(text)
        with pytest.raises(InvalidInput, match="no report"):
            Journal(path)
        assert path.read_bytes() == text


def test_only_the_owner_may_read_it(path: Path) -> None:
    write_done(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_pipelines_are_described_once_and_every_line_is_json(path: Path) -> None:
    write_done(path)
    write_done(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {"format": FORMAT}
    assert sum("description" in line for line in lines) == 1
    assert [line["source"] for line in lines if "source" in line] == ["a.jpg", "a.jpg"]


def test_the_fingerprint_changes_with_every_setting_and_not_with_their_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"a": 1, "b": 3})
