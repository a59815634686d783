"""What `unseen deid` covered is not looked at again, when its report says so of that very file; all else is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.client.real_server import ROOT, RealServer
from unseen.deid.faces import FaceFinder
from unseen.deid.settings import DeidSettings
from unseen.errors import InvalidInput
from unseen_client import AsyncClient, Client, Deidentifier
from unseen_client.deid.outcome import DeidReport, Outcome
from unseen_client.prepare import Preparer

PHOTOS = ROOT / "examples/demo/photos"


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    with Preparer(workers=1) as ready:
        yield ready


@pytest.fixture(scope="module")
def covered(tmp_path_factory: pytest.TempPathFactory) -> DeidReport:
    """A photograph with a face and one without, as `unseen deid` leaves them, in the folder "out"."""
    folder = tmp_path_factory.mktemp("covered")
    (folder / "in").mkdir()
    for name in ("astronaut.jpg", "dahlia.jpg"):
        shutil.copy(PHOTOS / name, folder / "in")
    with Deidentifier(workers=1) as deidentifier:
        return deidentifier.run(folder / "in", folder / "out")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of every picture in which faces are looked for."""
    seen = []
    real = FaceFinder.find

    def find(self: FaceFinder, pixels: np.ndarray, *, turned: bool = False) -> object:
        seen.append(pixels.shape)
        return real(self, pixels, turned=turned)

    monkeypatch.setattr(FaceFinder, "find", find)
    return seen


def out(covered: DeidReport, name: str) -> Path:
    return covered.report_file.parent / "out" / name


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lines_of(report: DeidReport) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.report_file.read_text().splitlines()]


def written(path: Path, lines: list[dict[str, object]]) -> Path:
    """A report with these lines, for its user alone as `unseen deid` leaves it."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path.chmod(0o600)
    return path


def test_a_picture_in_the_report_has_the_vector_that_looking_gives(
    preparer: Preparer, covered: DeidReport, looks: list[tuple[int, ...]]
) -> None:
    passed = preparer.passed(covered.report_file)
    for name, faces in (("astronaut.jpg", 1), ("dahlia.jpg", 0)):
        known = preparer.image(out(covered, name), passed)
        assert known.faces_covered == faces
        assert not looks
        people = sum(face.score >= 0.5 for face in known.report.faces)
        assert people == faces
        looked = preparer.image(out(covered, name))  # the paint shows no face
        assert looked.faces_covered == 0
        np.testing.assert_array_equal(preparer.embedded(looked.covered, people=people), known.vector)
        looks.clear()


def test_another_file_other_settings_and_another_release_are_looked_at(
    preparer: Preparer, covered: DeidReport, looks: list[tuple[int, ...]], tmp_path: Path
) -> None:
    changed = out(covered, "dahlia.jpg").read_bytes() + b"\0"
    for other_file in (changed, PHOTOS / "astronaut.jpg"):
        preparer.image(other_file, preparer.passed(covered.report_file))
        assert looks
        looks.clear()
    digest = digest_of(out(covered, "dahlia.jpg"))
    assert preparer.passed(covered.report_file).report(digest) is not None
    with Preparer(workers=1, deid=DeidSettings(threshold=0.1)) as stricter:
        assert stricter.passed(covered.report_file).report(digest) is None
    lines = lines_of(covered)
    for change in ({"release": "0.0.1"}, {"detector_sha256": "0" * 64}, {"pipeline": "dicom"}):
        other = [
            {**line, "description": line["description"] | change} if "description" in line else line for line in lines
        ]
        written(tmp_path / "other.jsonl", other)
        assert preparer.passed(tmp_path / "other.jsonl").report(digest) is None


def test_what_is_no_report_is_refused(preparer: Preparer, covered: DeidReport, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read the report"):
        preparer.passed(tmp_path / "absent.jsonl")
    lines = lines_of(covered)
    broken = tmp_path / "broken.jsonl"
    written(broken, [{"path": "a.jpg"}])
    with pytest.raises(InvalidInput, match="is no report"):
        preparer.passed(broken)
    for facts in ({}, {"faces": [{"box": [1, 2, 3]}]}, {"faces": 3}, {"size_px": [1]}):
        damaged = [{**line, "facts": facts and line["facts"] | facts} if "facts" in line else line for line in lines]
        written(broken, damaged)
        with pytest.raises(InvalidInput, match="damaged report"):
            preparer.passed(broken)


def test_a_report_that_may_be_somebody_elses_is_refused(
    preparer: Preparer, covered: DeidReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert covered.report_file.stat().st_mode & 0o777 == 0o600
    handed = Path(shutil.copy(covered.report_file, tmp_path / "handed.jsonl"))
    (tmp_path / "link.jsonl").symlink_to(handed)
    for mode in (0o644, 0o620, 0o602):
        handed.chmod(mode)
        for path in (handed, tmp_path / "link.jsonl"):
            with pytest.raises(InvalidInput, match="open to others"):
                preparer.passed(path)
    handed.chmod(0o600)
    preparer.passed(tmp_path / "link.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InvalidInput, match="cannot read the report"):
        preparer.passed(tmp_path / "pipe.jsonl")
    monkeypatch.setattr(os, "geteuid", lambda: handed.stat().st_uid + 1)
    with pytest.raises(InvalidInput, match="another account's"):
        preparer.passed(handed)


def test_a_dry_run_and_a_refusal_are_no_reason_not_to_look(
    preparer: Preparer, covered: DeidReport, tmp_path: Path
) -> None:
    """The pictures that a dry run writes show every face; a file that was refused was not covered."""
    digest = digest_of(out(covered, "astronaut.jpg"))
    lines = lines_of(covered)
    for outcome in (Outcome.PREVIEWED, Outcome.REFUSED, Outcome.PASSED_OVER):
        other = [line | {"outcome": outcome} if "source" in line else line for line in lines]
        assert preparer.passed(written(tmp_path / "other.jsonl", other)).report(digest) is None
    (tmp_path / "in").mkdir()
    shutil.copy(PHOTOS / "astronaut.jpg", tmp_path / "in")
    with Deidentifier(workers=1) as deidentifier:
        shown = deidentifier.run(tmp_path / "in", tmp_path / "out", dry_run=True)
    (preview,) = (tmp_path / "out").iterdir()
    digest = digest_of(preview)
    assert digest in shown.report_file.read_text()
    assert preparer.passed(shown.report_file).report(digest) is None


async def test_enrolment_takes_the_report_by_both_clients_and_the_command(
    server: RealServer,
    name: str,
    home: Path,
    unseen: Callable[..., subprocess.CompletedProcess[str]],
    covered: DeidReport,
    looks: list[tuple[int, ...]],
) -> None:
    files = [out(covered, "astronaut.jpg"), out(covered, "dahlia.jpg")]
    with Client(server.address, home=home) as client:
        client.create_collection(name)
        report = client.enrol_images(name, files[0], deid_report=covered.report_file)
        assert (report.enrolled, report.faces_covered) == (1, 1)
        assert client.enrol_from(name, files, deid_report=str(covered.report_file)).enrolled == 1
        client.erase(name, [hit.id for hit in client.list(name)])
    async with AsyncClient(server.address, home=home) as client:
        assert (await client.enrol_images(name, files[1], deid_report=covered.report_file)).enrolled == 1
        assert (await client.enrol_from(name, files[1:], deid_report=covered.report_file)).enrolled == 0
    assert not looks
    done = unseen("enrol", name, *files, "--deid-report", covered.report_file, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["enrolled"], len(told["already"]), told["faces_covered"]) == (1, 1, 1)  # by the report alone
