"""Pictures that `unseen deid` wrote, known by their SHA-256: what the face step found in them stands in its report.

Runs where the images are; the report says where people stood. It is as good as its file, which only its owner may read
and write. What it says counts for a picture that is byte for byte the one that was written, by this very release, with
the same detector and the same settings; every other picture is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unseen.deid.faces import Face
from unseen.deid.report import CoverReport, Left
from unseen.deid.settings import DeidSettings
from unseen.errors import InvalidInput
from unseen_client.deid.journal import entries
from unseen_client.deid.outcome import Outcome
from unseen_client.deid.photo import PHOTO
from unseen_client.home import refuse_others

LARGEST_REPORT_BYTES = 1 << 30


class Passed:
    """What one report says of the pictures that a face step like ours has passed."""

    def __init__(self, reports: Mapping[str, CoverReport]) -> None:
        """reports: by the SHA-256 of the covered file, in hex digits."""
        self._reports = reports

    @classmethod
    def read(cls, path: Path, settings: DeidSettings, detector_sha256: str) -> Passed:
        """The report in a file, for a face step with these settings.

        Raises InvalidInput for what is no report, InvalidConfiguration for a file that others can reach.
        """
        try:
            refuse_others(path, "600")
            if path.stat().st_size > LARGEST_REPORT_BYTES:
                raise InvalidInput(f"{path} has more than {LARGEST_REPORT_BYTES} bytes; de-identify in several runs")
            written = path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"cannot read the report {path}: {error.strerror}") from error
        pipelines: set[str] = set()
        found: dict[str, CoverReport] = {}
        for entry in entries(written, path):
            if _is_ours(entry.get("description"), settings, detector_sha256):
                pipelines.add(str(entry["pipeline"]))
            elif entry.get("outcome") == Outcome.DONE and entry.get("pipeline") in pipelines:
                found[str(entry.get("target_sha256"))] = _cover_report(path, entry, settings, detector_sha256)
        return cls(found)

    def report(self, sha256: str) -> CoverReport | None:
        """What was found and covered in the picture with this hash; None when it has to be looked at.

        Boxes are in pixels of the picture as it was written.
        """
        return self._reports.get(sha256)


def _is_ours(description: object, settings: DeidSettings, detector_sha256: str) -> bool:
    """Whether a pipeline looks for faces and covers them as enrolment would, whatever it writes the picture as."""
    if not isinstance(description, dict):
        return False
    ours = {
        "pipeline": PHOTO,
        "release": version("unseen"),
        "detector_sha256": detector_sha256,
        "settings": settings.as_dict(),
    }
    return {name: description.get(name) for name in ours} == ours


def _cover_report(path: Path, entry: Mapping[str, Any], settings: DeidSettings, detector_sha256: str) -> CoverReport:
    try:
        facts = entry["facts"]
        left = tuple((_face(one), Left(one["reason"])) for one in facts["left"])
        width, height = (int(side) for side in facts["size_px"])
        passes, turned = int(facts["passes"]), bool(facts["turned"])
        faces = tuple(map(_face, facts["faces"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"{path} is a damaged report of `unseen deid`; leave it out") from error
    return CoverReport(faces, left, passes, turned, (width, height), settings, detector_sha256)


def _face(fields: Mapping[str, Any]) -> Face:
    left, top, right, bottom = (float(side) for side in fields["box"])
    return Face((left, top, right, bottom), float(fields["score"]), int(fields["turn"]))
