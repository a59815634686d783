"""Commands about consents: recorded, shown, withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.collections import Name
from unseen_client.cli.governance_words import consent_fields, consent_line
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say

Subject = Annotated[str, typer.Argument(help="Any name that you know the data subject by; the server gets a hash.")]

app = typer.Typer(help="Record, show, withdraw consents.", no_args_is_help=True, rich_markup_mode=None)


@app.command("record")
@linked
def record(
    *,
    name: Name,
    subject: Subject,
    purpose: Annotated[list[str] | None, typer.Option(help="One purpose of the policy; may be repeated.")] = None,
    valid_days: Annotated[float | None, typer.Option(min=0, help="Until withdrawn when left out.")] = None,
    method: Annotated[str, typer.Option(help="How it was asked for, such as 'paper form'.")] = "",
    language: Annotated[str, typer.Option(help="What the notice was written in, such as 'de'.")] = "en",
    link: Link,
) -> None:
    """Record a data subject's consent to the policy in force.

    Without --purpose it is for everything that the policy allows.

    \b
    Example:
      unseen consent record scans patient-17 --purpose research --valid-days 365 --method "paper form"
    """
    valid_for = None if valid_days is None else _span(valid_days)
    with link.client() as client:
        given = client.record_consent(
            name, subject, purposes=purpose or None, valid_for=valid_for, method=method, language=language
        )
    words = f"recorded consent {given.record_id.hex()} for {', '.join(sorted(given.purposes))}"
    say(link.json, {"consent": given.to_document()}, words)


def _span(days: float) -> timedelta:
    try:
        return timedelta(days=days)
    except (OverflowError, ValueError) as error:  # more than a calendar has; not a number
        raise InvalidInput(f"got --valid-days {days:g}; leave it out for a consent until it is withdrawn") from error


@app.command("withdraw")
@linked
def withdraw(
    *,
    name: Name,
    subject: Annotated[str | None, typer.Argument(help="Whose consents, all of them.")] = None,
    consent: Annotated[str | None, typer.Option(metavar="ID", help="One consent by its record id instead.")] = None,
    link: Link,
) -> None:
    """Withdraw a data subject's consents, or one consent.

    From the next search on its rows are not found and not synchronised. The server erases them by itself soon after,
    unless a legal hold keeps them.

    \b
    Examples:
      unseen consent withdraw scans patient-17
      unseen consent withdraw scans --consent 79a2d7313a1d4106e98cb6463a6d48ca
    """
    if (subject is None) == (consent is None):
        raise InvalidInput("give a subject, or --consent ID")
    with link.client() as client:
        rows = client.withdraw_consent(name, subject=subject, consent=consent)
    say(link.json, {"rows": rows}, f"withdrawn; {rows} rows are found no more")


@app.command("list")
@linked
def show(
    *,
    name: Name,
    subject: Annotated[str | None, typer.Option(help="Only those of this data subject.")] = None,
    link: Link,
) -> None:
    """List the consents of a collection and what became of them.

    \b
    Example:
      unseen consent list scans --subject patient-17
    """
    with link.client() as client:
        found = client.consents(name, subject=subject)
    words = "\n".join(consent_line(one) for one in found)
    say(link.json, {"consents": [consent_fields(one) for one in found]}, words or "no consents are recorded")
