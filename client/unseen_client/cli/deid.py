"""The deid command: pictures in, pictures without faces and metadata out, and a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen_client.cli.dicom_options import DicomOptions
from unseen_client.cli.face_options import FaceOptions
from unseen_client.cli.link import Json
from unseen_client.cli.outcome import FAILED, PARTLY, say, telling
from unseen_client.cli.shown import refused_lines
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen_client.deid.deidentifier import Deidentifier
    from unseen_client.deid.outcome import DeidReport


@dataclass(frozen=True)
class RunOptions:
    """How the run goes and what is written."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write pictures with boxes and scores instead. Faces are visible in them.")
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there already.")] = False
    report: Annotated[
        Path | None, typer.Option(help="Where the report goes; OUT.report.jsonl when left out. Keep it here.")
    ] = None
    format: Annotated[str, typer.Option(help="Photographs become keep, jpeg, png or webp.")] = "keep"
    quality: Annotated[int, typer.Option(help="Of JPEG and WebP, 1 to 100.")] = 90
    longest_side: Annotated[
        int | None, typer.Option(metavar="PX", help="Reduce larger photographs; 1280 is what enrolment sees.")
    ] = None
    workers: Annotated[int | None, typer.Option(min=1, max=8, help="Files at once; the cores when left out.")] = None
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True
    json: Json = False


@spread(run=RunOptions, faces=FaceOptions, dicom=DicomOptions)
def deid(
    *,
    source: Annotated[Path, typer.Argument(metavar="IN", help="A photograph, a DICOM object, or a folder of both.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A file or folder for the results, outside IN.")],
    run: RunOptions,
    faces: FaceOptions,
    dicom: DicomOptions,
) -> None:
    """Cover faces and burned-in text; remove metadata.

    All of it happens on this device. Photographs: faces are covered, metadata goes; `unseen enrol` does the same to an
    image before anything else. DICOM: attributes as PS3.15 Annex E wants it; text in the pixels where it may be.

    A picture in which any step fails is not written and is listed with the reason: exit code 4, or 1 when nothing was
    written at all. Files that an earlier run did are skipped, so after an interruption run the same command again.

    The report says where people are in your pictures. Do not hand it on with them. Covered is not anonymous: read
    docs/deidentification.md.

    \b
    Examples:
      unseen deid holiday holiday-clean
      unseen deid holiday look-first --dry-run
      unseen deid beach.jpg beach-clean.jpg --json
      unseen deid wall.png wall-clean.png --cover 0,0.9,1,1 --keep 0,0,0.2,0.2 --method mosaic
    """
    with telling(run.json):
        with _deidentifier(run, faces, dicom) as deidentifier:
            report = deidentifier.run(
                source,
                target,
                report=run.report,
                dry_run=run.dry_run,
                overwrite=run.overwrite,
                progress=run.progress and not run.json,
            )
        say(run.json, report.as_dict(), _words(report))
    if not report.complete:
        raise SystemExit(PARTLY if len(report.refused) < len(report.files) else FAILED)


def _deidentifier(run: RunOptions, faces: FaceOptions, dicom: DicomOptions) -> Deidentifier:
    settings, dicom_settings = faces.settings(), dicom.settings()
    from unseen_client.deid.deidentifier import Deidentifier
    from unseen_client.deid.photo import PhotoFormat, PhotoOutput

    names = [kind.value for kind in PhotoFormat]
    if run.format not in names:
        raise typer.BadParameter(f"got {run.format!r}, expected one of {', '.join(names)}", param_hint="--format")
    output = PhotoOutput(PhotoFormat(run.format), run.quality, run.longest_side)
    return Deidentifier(
        settings,
        output=output,
        dicom=dicom_settings,
        text_in_photographs=dicom.text_in_photographs,
        workers=run.workers,
    )


def _words(report: DeidReport) -> str:
    lines = [str(report), *refused_lines(report.refused)]
    return "\n".join([*lines, f"report: {report.report_file}"])
