"""Pictures that `unseen deid` wrote, known by their SHA-256: what the face step found in them stands in its report.

Runs where the images are; the report says where people stood. It is as good as its file: one that others may read or
write, or that is another account's, is refused. What it says counts for a picture that is byte for byte the one that
was written, by this very release, with the same detector and the same settings; every other picture is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unseen.deid.faces import Face
from unseen.deid.report import CoverReport, Left
from unseen.deid.settings import DeidSettings
from unseen.errors import ImageRefused, InvalidInput
from unseen_client.deid.journal import entries
from unseen_client.deid.outcome import Outcome
from unseen_client.deid.photo import PHOTO
from unseen_client.source_file import opened_source

LARGEST_REPORT_BYTES = 1 << 30
OTHERS_RIGHTS = 0o077
"""`unseen deid` gives nobody but its user any; a report that came in an archive or by a download mostly has some."""


class Passed:
    """What one report says of the pictures that a face step like ours has passed."""

    def __init__(self, reports: Mapping[str, CoverReport]) -> None:
        """reports: by the SHA-256 of the covered file, in hex digits."""
        self._reports = reports

    @classmethod
    def read(cls, path: Path, settings: DeidSettings, detector_sha256: str) -> Passed:
        """The report in a file, for a face step with these settings; InvalidInput for none, or one open to others."""
        pipelines: set[str] = set()
        found: dict[str, CoverReport] = {}
        for entry in entries(_own(path), path):
            if _is_ours(entry.get("description"), settings, detector_sha256):
                pipelines.add(str(entry["pipeline"]))
            elif entry.get("outcome") == Outcome.DONE and str(entry.get("pipeline")) in pipelines:
                found[str(entry.get("target_sha256"))] = _cover_report(path, entry, settings, detector_sha256)
        return cls(found)

    def report(self, sha256: str) -> CoverReport | None:
        """What was found and covered in the picture with this hash; None when it has to be looked at.

        Boxes are in pixels of the picture as it was written.
        """
        return self._reports.get(sha256)


def _own(path: Path) -> bytes:
    """The bytes of a report, looked at and read through one open file; raises InvalidInput."""
    try:
        with opened_source(path) as file:
            about = os.fstat(file.fileno())
            _require_own(path, about)
            if about.st_size > LARGEST_REPORT_BYTES:
                raise InvalidInput(f"{path} has more than {LARGEST_REPORT_BYTES} bytes; de-identify in several runs")
            return file.read()
    except ImageRefused as error:
        raise InvalidInput(f"cannot read the report {path}; name the file that `unseen deid` wrote") from error


def _require_own(path: Path, about: os.stat_result) -> None:
    """Refuse a report of another account, or with the rights of a file that was handed on; raises InvalidInput."""
    if not hasattr(os, "geteuid"):  # not a POSIX system
        return
    if about.st_uid != os.geteuid() or about.st_mode & OTHERS_RIGHTS:
        raise InvalidInput(
            f"the report {path} is another account's or open to others, so it may say of any picture that it is "
            "covered. Leave it out, or name the one that `unseen deid` wrote for you; if this is it, chmod 600 it"
        )


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
