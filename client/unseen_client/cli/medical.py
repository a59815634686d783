"""Commands about DICOM objects: enrol them, and find the way back to the real study on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.basis_options import BasisOptions
from unseen_client.cli.collections import Name
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import PARTLY, say
from unseen_client.cli.shown import refused_lines
from unseen_client.cli.spread import spread
from unseen_client.dicom.uid import is_uid

if TYPE_CHECKING:
    from unseen_client.dicom.crosswalk import WayBack
    from unseen_client.report import DicomEnrolReport

PACS_VARIABLE = "UNSEEN_PACS"


@spread(basis=BasisOptions)
@linked
def enrol_dicom(
    *,
    name: Name,
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    tag: Annotated[list[str] | None, typer.Option(help="A tag for every row; may be repeated.")] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="Most pictures of one volume or clip that become rows; 0 for every frame.")
    ] = 8,
    text: Annotated[str, typer.Option(help="Cover burned-in text in risky objects, or always.")] = "risky",
    reports_beside: Annotated[
        bool, typer.Option("--reports-beside", help="Texts (.txt) beside the objects of one study are its reports.")
    ] = False,
    noise: Annotated[
        str | None, typer.Option(metavar="MECHANISM:EPSILON", help="Noise on every vector, such as privunit:64.")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
    basis: BasisOptions,
    link: Link,
) -> None:
    """De-identify, render, embed and enrol DICOM objects.

    All of it happens on this device; the server gets vectors and sealed records that hold pseudonyms.

    The collection is made with --model bundled+dicom. An object in which a step fails stays here and is listed with the
    reason (exit code 4). What is there already is skipped, so after an interruption run the same command again.

    A volume or a clip is stood for by up to 8 pictures, evenly over its middle. Structured reports become rows of
    words, in which names, dates and numbers of people are replaced as far as tags and rules know them. Not a medical
    device: docs/medical.md.

    \b
    Examples:
      unseen create scans --model bundled+dicom
      unseen enrol-dicom scans /archive/2024
      unseen enrol-dicom scans study.dcm --pictures 0 --tag teaching
    """
    if text not in {"risky", "always"}:
        raise typer.BadParameter(f"got {text!r}, expected risky or always", param_hint="--text")
    with link.client() as client:
        report = client.enrol_dicom(
            name,
            paths,
            pictures_per_volume=pictures,
            reports_beside=reports_beside,
            text=text,
            tags=tag or (),
            noise=noise,
            subject=basis.subject,
            consent=basis.consent,
            purpose=basis.purpose,
            progress=progress and not link.json,
        )
    words = "\n".join([str(report), *refused_lines(report.refused)])
    say(link.json, report_fields(report), words)
    if not report.complete:
        raise SystemExit(PARTLY)


@linked
def reveal(
    *,
    name: Name,
    row: Annotated[str, typer.Argument(metavar="ID", help="A row, as `unseen search` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the log on this device.")],
    pacs: Annotated[
        str | None, typer.Option(envvar=PACS_VARIABLE, metavar="URL", help="DICOMweb address, for a WADO-RS path.")
    ] = None,
    link: Link,
) -> None:
    """Show the study behind a hit, from the crosswalk.

    Nothing of it is sent. Checked are the record key and the site key of this device, that the server lets you into the
    collection, and that the account of this machine has a grant: `unseen reveal-grant`. Every try is written to
    crosswalks/reveals.jsonl in the device's folder of keys before anything is shown.

    \b
    Example:
      unseen reveal scans 3f9a0c51d2e4b687 --reason "second reading" --pacs https://pacs.example/dicom-web
    """
    if pacs is not None:
        require_base(pacs)
    with link.client() as client:
        way = client.reveal(name, row, reason=reason)
    path = None if pacs is None else wado_path(pacs, way)
    fields = {
        "study": way.study,
        "series": way.series,
        "instance": way.instance,
        "frame": way.frame,
        "source": way.source,
    }
    words = [f"{label:9}{value}" for label, value in fields.items()] + ([f"{'WADO-RS':9}{path}"] if path else [])
    say(link.json, {**fields, "wado_rs": path}, "\n".join(words))


@linked
def grant_reveal(
    *,
    name: Name,
    account: Annotated[str | None, typer.Option(help="An account of this machine; this one when left out.")] = None,
    days: Annotated[int, typer.Option(min=0, max=366, help="For so long; 0 ends the grant.")] = 30,
    link: Link,
) -> None:
    """Let an account of this machine use `reveal`.

    The grant is kept on this device, sealed, and written to the same log. It is a deliberate act that leaves a trace;
    it is no wall against who owns the device's folder of keys.

    \b
    Example:
      unseen reveal-grant scans --account radiology --days 90
    """
    with link.client() as client:
        who = client.grant_reveal(name, account=account, days=days)
    told = f"{who} may see real studies of {name} for {days} days" if days else f"the grant of {who} is ended"
    say(link.json, {"account": who, "days": days}, told)


def require_base(pacs: str) -> None:
    """Refuse what is no address of DICOMweb, before anything is looked up; raises InvalidInput."""
    if not pacs.startswith(("https://", "http://")) or any(letter.isspace() for letter in pacs):
        raise InvalidInput(f"got the PACS address {pacs!r}, expected one like https://pacs.example/dicom-web")


def wado_path(pacs: str, way: WayBack) -> str | None:
    """Where a PACS has the frame (PS3.18 section 10.4); None for an object whose names are no UIDs.

    A file may call its study anything, and what it says must not choose another path of the PACS.
    """
    if not all(map(is_uid, (way.study, way.series, way.instance))):
        return None
    place = f"studies/{way.study}/series/{way.series}/instances/{way.instance}/frames/{way.frame}"
    return f"{pacs.rstrip('/')}/{place}"


def report_fields(report: DicomEnrolReport) -> dict[str, object]:
    """The report as JSON has it."""
    counts = ("objects", "studies", "series", "stood_for", "passed_over", "places_covered", "searchable", "reports")
    return {
        "enrolled": report.enrolled,
        "ids": list(report.ids),
        "already": list(report.already),
        "refused": [{"source": one.source, "code": one.code, "reason": one.reason} for one in report.refused],
        **{name: getattr(report, name) for name in counts},
        "faces_covered": report.faces_covered,
    }
