"""Commands about the audit log: what this device kept of it, and, for auditors, the whole of it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unseen.errors import InvalidInput, ProofBroken
from unseen_client.cli.audit_files import known_keys, lines, note, receipt_named, target
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say

if TYPE_CHECKING:
    from unseen.audit.receipt import Receipt
    from unseen_client.report import LogCheck

DATE_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

Against = Annotated[
    list[Path] | None,
    typer.Option(help="File with a signed head, a receipt or an export from elsewhere; may be repeated."),
]

app = typer.Typer(help="Check, prove, verify, export the audit log.", no_args_is_help=True, rich_markup_mode=None)


@app.command("check")
@linked
def check(*, link: Link) -> None:
    """Check that the server's audit log goes on from what this device has seen of it.

    Every command does this by itself when it first meets the server. A log that was cut, rewritten or put back from a
    backup is an error.

    \b
    Example:
      unseen audit check
    """
    with link.client() as client:
        found = client.audit_check()
    say(link.json, _fields(found), _words(found))


@app.command("head")
@linked
def head(*, link: Link) -> None:
    """Print the signed head of the log: for others, who compare it with what they are shown.

    The head is a C2SP checkpoint. A server can show different logs to different people; only heads that are compared,
    or co-signed by witnesses, show that it did not.

    \b
    Example:
      unseen audit head > today.head
    """
    with link.client() as client:
        found = client.audit_check()
    say(link.json, _fields(found), found.head.rstrip("\n"))


@app.command("receipts")
@linked
def receipts(*, link: Link) -> None:
    """List the receipts that this device keeps of its own acts.

    \b
    Example:
      unseen audit receipts --json | jq -c '.receipts[-1]' > receipt.json
    """
    with link.client() as client:
        kept = client.audit_receipts()
    rows = [_receipt_fields(receipt) for receipt in kept]
    words = "\n".join(f"{row['index']}\t{row['time']}\t{row['act']}\t{row['outcome']}" for row in rows)
    say(link.json, {"receipts": [json.loads(receipt.to_bytes()) for receipt in kept]}, words or "no receipts yet")


@app.command("prove")
@linked
def prove(
    *,
    receipt: Annotated[str, typer.Argument(help="A file with a receipt, or the index of one that this device keeps.")],
    link: Link,
) -> None:
    """Have the server prove that the act of a receipt is in its log as it stands now.

    \b
    Examples:
      unseen audit prove receipt.json
      unseen audit prove 41
    """
    with link.client() as client:
        wanted = receipt_named(receipt, client.audit_receipts())
        found = client.audit_prove(wanted)
    fields = _receipt_fields(wanted)
    say(
        link.json,
        _fields(found) | {"receipt": fields},
        f"proven: {fields['act']} of {fields['time']} by {fields['who']} is leaf {fields['index']} of {found.leaves}",
    )


@app.command("verify")
@linked
def verify(
    *,
    file: Annotated[Path | None, typer.Argument(help="An export to verify instead of the server's log.")] = None,
    against: Against = None,
    signed_by: Annotated[
        str | None,
        typer.Option(metavar="FINGERPRINT", help="The key that must have signed FILE; `unseen info` shows a server's."),
    ] = None,
    link: Link,
) -> None:
    """Verify the whole log: every leaf, the tree over them, the signed head.

    Without FILE the log is fetched from the server, which takes the role auditor. With FILE nothing is sent. Exit code
    1 when an export does not hold, and when its head is not signed by a server that this device knows, or by the key
    that you name: anybody can write an export and sign it with some key.

    \b
    Examples:
      unseen audit verify --against colleague.head
      unseen audit verify january.jsonl
      unseen audit verify january.jsonl --signed-by "2e6c 29a0 9d31 de5e 9cc1 1942 6e80 0347"
    """
    notes = [note(path) for path in against or []]
    if file is not None:
        _verify_file(file, notes, signed_by, link)
        return
    if signed_by is not None:
        raise InvalidInput("--signed-by says who signed a FILE; a server's log is checked by the keys known of it")
    with link.client() as client:
        found = client.audit_export(lambda _: None, against=notes)
    say(
        link.json,
        _fields(found) | {"compared": len(notes)},
        f"verified: {found.leaves} leaves give the signed head{_compared(notes)}",
    )


@app.command("export")
@linked
def export(
    *,
    file: Annotated[Path | None, typer.Argument(help="A new file; the output when left out.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=DATE_FORMATS, help="Leave out what came before.")] = None,
    against: Against = None,
    link: Link,
) -> None:
    """Export the log as JSON lines, verified on the way. Takes the role auditor.

    The file names callers: keep it as carefully as the log. It can be verified anywhere: `unseen audit verify FILE`.

    \b
    Examples:
      unseen audit export january.jsonl --since 2026-01-01
      unseen audit export | jq -r 'select(.act == "Search") | .who' | sort | uniq -c
    """
    notes = [note(path) for path in against or []]
    with link.client() as client, target(file) as output:
        found = client.audit_export(output.write, since=since, against=notes)
    if file is not None:
        say(
            link.json, _fields(found) | {"file": str(file)}, f"{file} holds the log up to leaf {found.leaves}, verified"
        )


@app.command("accept")
@linked
def accept(*, link: Link) -> None:
    """Begin anew with the log that the server shows now, and forget what this device has seen of it.

    Only after the server's operator has said why it went back: a backup was restored. Rows that were erased or
    withdrawn since may be back, and receipts of acts since prove that they were there: save them first
    (`unseen audit receipts --json`).

    \b
    Example:
      unseen audit accept
    """
    with link.client() as client:
        found = client.audit_accept()
    say(link.json, _fields(found), f"this device now knows the server's audit log of {found.leaves} leaves")


def _verify_file(file: Path, notes: list[str], signed_by: str | None, link: Link) -> None:
    from unseen.audit.export import ExportBegin, read_export
    from unseen.audit.head import open_head
    from unseen.governance.keys import fingerprint, is_fingerprint_of

    with lines(file) as found:
        begin = ExportBegin.from_bytes(next(found, b""))
    known = known_keys(link, begin.origin)
    if signed_by is not None:
        trusted = tuple(key for key in {*known, *begin.public_keys} if is_fingerprint_of(signed_by, key))
        if not trusted:
            raise ProofBroken("no key of this export is the one that was named; do not take it for that server's word")
    else:
        trusted = known
    wanted = [open_head(one, begin.origin, trusted or begin.public_keys) for one in notes]
    with lines(file) as found:
        _, covered = read_export(found, wanted, trusted)
    leaves = f"leaves {begin.first_index} to {covered.size - 1}"
    if not trusted:
        raise ProofBroken(
            f"{leaves} give the head, but it is signed by a key of the "
            f"export's own, {fingerprint(begin.public_keys[-1])}: compare it with the fingerprint that the server's "
            "operator has (`unseen info`), then give --signed-by"
        )
    whose = "the key that was named" if signed_by is not None else "a key that this device knows"
    say(
        link.json,
        {"leaves": covered.size, "first_index": begin.first_index, "compared": len(notes), "keys_known": bool(known)},
        f"verified: {leaves} give the head{_compared(notes)}; signed by {whose}",
    )


def _receipt_fields(receipt: Receipt) -> dict[str, Any]:
    from unseen.audit.leaf import leaf_fields

    return {"index": receipt.index} | leaf_fields(receipt.leaf)


def _fields(found: LogCheck) -> dict[str, object]:
    return {"leaves": found.leaves, "since": found.since, "head": found.head}


def _words(found: LogCheck) -> str:
    if not found.since:
        return f"the server's audit log has {found.leaves} leaves; this device remembers it from now on"
    return (
        f"the server's audit log goes on from what this device has seen: {found.since} leaves then, {found.leaves} now"
    )


def _compared(notes: list[str]) -> str:
    return f", and on it lie the heads from elsewhere ({len(notes)})" if notes else ""
