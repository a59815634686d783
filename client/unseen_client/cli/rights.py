"""Commands about the rights of data subjects: exports, certificates of erasure."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput, ProofBroken
from unseen_client.cli.collections import Name
from unseen_client.cli.governance_words import (
    consent_fields,
    erasure_fields,
    erasure_line,
    hold_fields,
)
from unseen_client.cli.link import Home, Json, Link, linked
from unseen_client.cli.outcome import say, telling
from unseen_client.cli.rows import record_fields
from unseen_client.home import default_home, write_new_private

if TYPE_CHECKING:
    from unseen_client.governed import SubjectExport, SubjectRow

subjects = typer.Typer(help="What is held about a data subject.", no_args_is_help=True, rich_markup_mode=None)
certificates = typer.Typer(help="Show and verify erasure certificates.", no_args_is_help=True, rich_markup_mode=None)


@subjects.command("export")
@linked
def export(
    *,
    name: Name,
    subject: Annotated[str, typer.Argument(help="The name that you know the data subject by.")],
    file: Annotated[
        Path | None, typer.Option(help="Write there instead of printing, for you alone to read; a new file.")
    ] = None,
    link: Link,
) -> None:
    """Give everything held about a data subject.

    As JSON, from the server and this device: consents, policy versions, holds, rows with their purposes and with their
    records opened on this device. Takes the role steward.

    \b
    Example:
      unseen subject export scans patient-17 --file patient-17.json
    """
    if file is not None and os.path.lexists(file):
        raise InvalidInput(f"{file} is there already, and stays as it is; give --file a new path")
    with link.client() as client:
        held = client.export_subject(name, subject)
    if file is None:
        say(True, _export_fields(held), "")
        return
    write_new_private(file, json.dumps(_export_fields(held), indent=1).encode())
    say(link.json, {"file": str(file), "rows": len(held.rows)}, f"wrote {file}")


def _export_fields(export: SubjectExport) -> dict[str, object]:
    return {
        "format": "unseen-subject-export-1",
        "collection": export.collection,
        "subject": export.subject,
        "pseudonym": export.pseudonym.hex(),
        "policies": [policy.to_document() for policy in export.policies],
        "consents": [consent_fields(status) for status in export.consents],
        "rows": [_row_fields(row) for row in export.rows],
        "holds": [hold_fields(hold) for hold in export.holds],
    }


def _row_fields(row: SubjectRow) -> dict[str, object]:
    record = row.record
    return {
        **record_fields(record),
        "thumbnail": base64.b64encode(record.thumbnail).decode("ascii"),
        "vector": None if record.vector is None else [float(value) for value in record.vector],
        "consent": row.record_id.hex(),
        "purposes": sorted(row.purposes),
        "withheld": row.withheld,
    }


# Certificates


@certificates.command("list")
@linked
def list_certificates(*, name: Name, link: Link) -> None:
    """List the erasures of a collection.

    The server's own are among them; every certificate is verified.

    \b
    Example:
      unseen certificate list scans
    """
    with link.client() as client:
        found = client.certificates(name)
    words = "\n".join(erasure_line(one) for one in found)
    say(link.json, {"certificates": [erasure_fields(one) for one in found]}, words or "nothing was erased yet")


@certificates.command("verify")
def verify(
    *,
    file: Annotated[Path, typer.Argument(help="A file that `unseen erase --certificate` wrote.")],
    signed_by: Annotated[
        str | None,
        typer.Option(metavar="FINGERPRINT", help="The key that must have signed; `unseen info` shows a server's."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Verify erasure certificates; needs no server.

    Says what was erased and which server signed it. Exit code 1 when a signature does not hold, and when it is not that
    of a server that this device knows, or of the key that you name: anybody can sign a certificate with some key.

    \b
    Examples:
      unseen certificate verify erased.json
      unseen certificate verify erased.json --signed-by "2e6c 29a0 9d31 de5e 9cc1 1942 6e80 0347"
    """
    from unseen.governance.certificate import ErasureCertificate
    from unseen.governance.keys import fingerprint, is_fingerprint_of
    from unseen_client.governed import Erasure
    from unseen_client.known_servers import known_servers

    with telling(as_json):
        servers = known_servers(home or default_home())
        fields, lines, strangers = [], [], []
        for line in _lines(file):
            certificate, signed = ErasureCertificate.from_signed(line)
            erasure = Erasure(certificate, line)
            known, print_ = servers.signing(signed.public_key), fingerprint(signed.public_key)
            if not (known if signed_by is None else is_fingerprint_of(signed_by, signed.public_key)):
                strangers.append(print_)
            fields.append({**erasure_fields(erasure), "signed_by": print_, "servers": known})
            whose = f"server {known[0][:12]}" if known else f"unknown key {print_}"
            lines.append(f"{erasure_line(erasure)}, signed by {whose}")
        say(as_json, {"certificates": fields, "unreadable": list(servers.unreadable)}, "\n".join(lines))
        if not as_json:
            sys.stderr.writelines(f"note: {one}\n" for one in servers.unreadable)
        if strangers:
            raise ProofBroken(_not_trusted(strangers, len(fields), signed_by))


def _not_trusted(strangers: list[str], count: int, signed_by: str | None) -> str:
    whose = "of no server that this device knows" if signed_by is None else "not of the key that was named"
    way_out = (
        "compare it with the fingerprint that the server's operator has (`unseen info`), then give --signed-by"
        if signed_by is None
        else "do not take it for that server's word"
    )
    return f"{len(strangers)} of {count} certificates: the signature is {whose}, but of {strangers[0]}; {way_out}"


def _lines(file: Path) -> list[bytes]:
    try:
        lines = [line for line in file.read_bytes().splitlines() if line]
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error
    if not lines:
        raise InvalidInput(f"{file} holds no certificate")
    return lines
