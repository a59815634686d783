"""Commands about rows: enrol, list, erase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.basis_options import BasisOptions
from unseen_client.cli.budget import noise_fields, noise_words
from unseen_client.cli.collections import Name
from unseen_client.cli.describe_options import DescribeOptions
from unseen_client.cli.described import described_file, described_files, image_files, read_records, read_text
from unseen_client.cli.face_options import FaceOptions
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import PARTLY, say
from unseen_client.cli.shown import refused_lines, shown
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen_client.records import Record
    from unseen_client.report import EnrolReport


@spread(faces=FaceOptions, basis=BasisOptions, describe=DescribeOptions)
@linked
def enrol(
    *,
    name: Name,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Images, folders, zip files, videos, texts, manifests, exports, or one .npy file."),
    ],
    tag: Annotated[list[str] | None, typer.Option(help="A tag for every row; may be repeated.")] = None,
    records: Annotated[
        Path | None, typer.Option(help="JSON file: {path, file name or id: {caption, tags, link, extra, id, name}}.")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="For vectors: a text file with one id a line.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of a manifest's pictures; its own if left out.")] = None,
    vector: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which one of an export with several vectors; image if left out.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Of a video, take a frame so often; 1 if left out.")
    ] = None,
    noise: Annotated[
        str | None, typer.Option(metavar="MECHANISM:EPSILON", help="Noise on every vector, such as privunit:64.")
    ] = None,
    deid_report: Annotated[
        Path | None, typer.Option(help="Of `unseen deid`: what it wrote is covered, and not looked at again.")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
    faces: FaceOptions,
    basis: BasisOptions,
    describe: DescribeOptions,
    link: Link,
) -> None:
    """De-identify, embed and enrol images and texts.

    All of it happens on this device; the server gets vectors and sealed records.

    A manifest is .csv, .jsonl or .parquet: a column path or text, and any others. Exports are folders of clip-retrieval
    and the points that Qdrant's scroll call gives, .json or .jsonl.

    Faces are found and covered first, as `unseen deid` shows; an image in which a step fails stays here and is listed
    with the reason (exit code 4). What is there already is skipped, so after an interruption run the same command
    again; rows of a manifest or an export that changed are erased and enrolled anew. Duplicates are listed.

    Where the collection has a policy, --subject says whom the rows are about and --consent what they rest on.

    Of a video, a frame of every second is enrolled, with its time: --where "second >= 10" (unseen[video] reads it).

    With --tags-from the tags that fit are found, and with --captions a language model on this device writes a caption:
    both enter the sealed record and count in the row (docs/describing.md).

    With --noise the server gets noised vectors only, and each is charged to the budget that `unseen budget` shows.

    \b
    Examples:
      unseen enrol photos ~/Pictures --tag holiday
      unseen enrol photos beach.jpg forest.jpg --records captions.json
      unseen enrol catalogue products.csv --root ~/Products
      unseen enrol gate gate.mp4 --every 5
      unseen enrol articles vectors.npy --ids ids.txt
      unseen enrol scans ~/Scans --subject patient-17 --purpose research
      unseen enrol scans ~/Scans --noise privunit:64 --subject patient-17
      unseen enrol photos ~/Pictures --tags-from tags.txt
      unseen deid holiday clean && unseen enrol photos clean --deid-report clean.report.jsonl
    """
    wish = describe.wish()
    brought = {"--root": root, "--vector": vector, "--every": every}
    if paths[0].suffix == ".npy":
        _refuse_unused("vectors in an .npy file", {**brought, "--deid-report": deid_report})
        if wish is not None:
            raise InvalidInput(
                "vectors have no pictures to be described; leave the options about tags and captions out"
            )
        report = _enrol_vectors(name, paths, ids, tag or [], records, noise, basis, progress, link)
    elif records is not None:
        _refuse_unused("pictures that --records describes", {**brought, "--ids": ids})
        described = described_files(files := image_files(paths), tag or [], records)
        with link.client(faces.settings()) as client:
            report = client.enrol_images(
                name,
                files,
                records=described,
                noise=noise,
                subject=basis.subject,
                consent=basis.consent,
                purpose=basis.purpose,
                describing=wish,
                deid_report=deid_report,
                progress=progress and not link.json,
            )
    else:
        _refuse_unused("what is no .npy file", {"--ids": ids})
        with link.client(faces.settings()) as client:
            report = client.enrol_from(
                name,
                paths,
                tags=tag or (),
                root=root,
                vector="image" if vector is None else vector,
                every_s=1.0 if every is None else every,
                noise=noise,
                subject=basis.subject,
                consent=basis.consent,
                purpose=basis.purpose,
                describing=wish,
                deid_report=deid_report,
                progress=progress and not link.json,
            )
    duplicates = [f"duplicate {shown(one.source)}: the content of {shown(one.of)}" for one in report.duplicates]
    say(link.json, _fields(report), "\n".join([str(report), *refused_lines(report.refused), *duplicates]))
    if not report.complete:
        raise SystemExit(PARTLY)


@linked
def list_rows(
    *,
    name: Name,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="Leave out the first so many.")] = 0,
    link: Link,
) -> None:
    """List the rows of a collection: ids, names, captions, tags.

    And the noise that they carry, as the enrolling device says.
    They are decrypted on this device from its mirror; the server sees a synchronisation, no more.

    \b
    Example:
      unseen list photos --limit 20
    """
    with link.client() as client:
        found = client.list(name, limit=limit, offset=offset)
    words = "\n".join(map(row_line, found))
    say(link.json, {"rows": [record_fields(one) for one in found]}, words or "no rows yet: unseen enrol NAME PATH...")


def row_line(record: Record) -> str:
    """A row as `unseen list` shows it: its cells between tabs."""
    cells = [record.id, record.name, record.caption, ", ".join(record.tags)]
    return "\t".join(map(shown, [*cells, noise_words(record.noise)] if record.noise else cells))


@linked
def erase(
    *,
    name: Name,
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids, as `unseen list` and `unseen search` show them.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Every row and consent of this data subject, instead of ids.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file for the server's signed certificate.")
    ] = None,
    link: Link,
) -> None:
    """Erase rows for good.

    They are gone from the server's disk and memory and from this device's mirror. The server signs for it; this device
    verifies the certificate and keeps it.

    All of them or, when one is not there or a legal hold keeps one, none.

    \b
    Examples:
      unseen erase photos 3f9a0c51d2e4b687
      unseen erase scans --subject patient-17 --certificate erased.json
    """
    if bool(ids) == (subject is not None):
        raise InvalidInput("give ids, or --subject")
    with link.client() as client:
        if subject is not None:
            count = client.erase_subject(name, subject, certificate=certificate).rows
        else:
            count = client.erase(name, ids or [], certificate=certificate)
    say(link.json, {"erased": count}, f"{count} erased")


@linked
def pack(*, name: Name, link: Link) -> None:
    """Pack rows that came one by one together.

    For owner-encrypted collections, where only this device can. Searches take fewer bytes afterwards. Enrolment does
    it by itself when many such rows have come together.

    \b
    Example:
      unseen pack secret
    """
    with link.client() as client:
        count = client.pack(name)
    say(link.json, {"moved": count}, f"{count} moved")


def _refuse_unused(sources: str, options: Mapping[str, object]) -> None:
    """Refuse options that would change nothing; raises InvalidInput."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InvalidInput(f"got {', '.join(given)} with {sources}, where it says nothing; leave it out")


def _enrol_vectors(
    name: str,
    paths: Sequence[Path],
    ids: Path | None,
    tags: Sequence[str],
    records: Path | None,
    noise: str | None,
    basis: BasisOptions,
    progress: bool,
    link: Link,
) -> EnrolReport:
    if len(paths) != 1 or ids is None:
        raise InvalidInput("vectors come as one .npy file of float32 (n, d) with --ids FILE, one id a line")
    from unseen_client.array_file import read_array

    lines = read_text(ids).splitlines()
    described = read_records(records) if records else {}
    with link.client() as client:
        return client.enrol_vectors(
            name,
            lines,
            read_array(paths[0]),
            records=[described_file(described.get(line, {}), tags, str(records)) for line in lines],
            noise=noise,
            subject=basis.subject,
            consent=basis.consent,
            purpose=basis.purpose,
            progress=progress and not link.json,
        )


def record_fields(record: Record) -> dict[str, object]:
    """A record as JSON has it; thumbnails and vectors by size only."""
    return {
        "id": record.id,
        "name": record.name,
        "caption": record.caption,
        "tags": list(record.tags),
        "link": record.link,
        "extra": dict(record.extra),
        "thumbnail_bytes": len(record.thumbnail),
        "has_vector": record.vector is not None,
        "noise": noise_fields(record.noise),
    }


def _fields(report: EnrolReport) -> dict[str, object]:
    return {
        "enrolled": report.enrolled,
        "ids": list(report.ids),
        "already": list(report.already),
        "refused": [{"source": one.source, "code": one.code, "reason": one.reason} for one in report.refused],
        "faces_covered": report.faces_covered,
        "replaced": list(report.replaced),
        "duplicates": [{"source": one.source, "of": one.of} for one in report.duplicates],
    }
