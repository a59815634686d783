from __future__ import annotations

from pathlib import Path

import pytest

from unseen.errors import InvalidInput
from unseen_client.deid.walk import planned, target_name


def test_a_folder_is_walked_in_order_and_its_structure_is_kept(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/c.png", "a/d/e", ".hidden"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"")
    plan = planned(tmp_path / "in", tmp_path / "out", None)
    assert [job.name for job in plan.jobs] == [".hidden", "a/c.png", "a/d/e", "b.jpg"]
    assert plan.folder == tmp_path / "out"
    assert plan.report_file == tmp_path / "out.report.jsonl"
    assert planned(tmp_path / "in", tmp_path / "out", tmp_path / "r").report_file == tmp_path / "r"


def test_a_file_goes_where_it_was_said_or_into_the_folder_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    plan = planned(tmp_path / "a.jpg", tmp_path / "b.jpg", None)
    assert (plan.folder / plan.output_name, plan.report_file.name) == (tmp_path / "b.jpg", "b.jpg.report.jsonl")
    plan = planned(tmp_path / "a.jpg", tmp_path / "folder", None)
    assert plan.folder / plan.output_name == tmp_path / "folder" / "a.jpg"


@pytest.mark.parametrize("target", ["in", "in/out", "in/a/b", "other/../in/x", "a-file"])
def test_output_within_the_input_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"")
    (tmp_path / "a-file").write_bytes(b"")
    with pytest.raises(InvalidInput, match="folder"):
        planned(tmp_path / "in", tmp_path / target, None)
    with pytest.raises(InvalidInput, match="there is no"):
        planned(tmp_path / "nowhere", tmp_path / "out", None)
    with pytest.raises(InvalidInput, match="its own output"):
        planned(tmp_path / "in" / "a.jpg", tmp_path / "in" / "a.jpg", None)
    with pytest.raises(InvalidInput, match="its own output"):
        planned(tmp_path / "in" / "a.jpg", tmp_path / "in", None)


@pytest.mark.parametrize(
    ("source", "suffix", "expected"),
    [
        ("a.jpg", ".jpg", "a.jpg"),
        ("a.JPEG", ".jpg", "a.JPEG"),
        ("a.gif", ".png", "a.gif.png"),
        ("a.png", ".jpg", "a.png.jpg"),
        ("scan", ".png", "scan.png"),
        ("IM0001", "", "IM0001"),
        ("IM0001.dcm", ".dcm", "IM0001.dcm"),
    ],
)
def test_outputs_are_named_for_what_they_are(tmp_path: Path, source: str, suffix: str, expected: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / source).write_bytes(b"")
    plan = planned(tmp_path / "in", tmp_path / "out", None)
    assert target_name(plan.jobs[0], plan, suffix) == expected


def test_an_output_that_would_not_be_what_it_is_called_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    plan = planned(tmp_path / "a.jpg", tmp_path / "b.png", None)
    with pytest.raises(InvalidInput, match="--format"):
        target_name(plan.jobs[0], plan, ".jpg")
    plan = planned(tmp_path / "a.jpg", tmp_path / "b", None)
    assert target_name(plan.jobs[0], plan, ".jpg") == "b.jpg"
