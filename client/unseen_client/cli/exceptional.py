"""Commands about what is out of the ordinary: legal holds, emergencies."""

from __future__ import annotations

from typing import Annotated

import typer

from unseen_client.cli.collections import Name
from unseen_client.cli.governance_words import emergency_fields, emergency_line, hold_fields, hold_line
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say

Reason = Annotated[str, typer.Argument(help='A file number: letters, digits and "._/-". It stands in logs.')]

holds = typer.Typer(help="Set, lift, list legal holds.", no_args_is_help=True, rich_markup_mode=None)
emergencies = typer.Typer(help="Open, end, list emergencies.", no_args_is_help=True, rich_markup_mode=None)


# Holds


@holds.command("set")
@linked
def set_hold(
    *,
    name: Name,
    reason_code: Reason,
    subject: Annotated[str | None, typer.Option(help="Only this data subject's rows; every row if left out.")] = None,
    link: Link,
) -> None:
    """Keep rows from being erased until the hold is lifted.

    Whoever erases them meanwhile is refused and told the reason code. Rows whose consent ends are found no more, but
    kept.

    \b
    Example:
      unseen hold set scans CASE-17 --subject patient-17
    """
    with link.client() as client:
        hold = client.set_hold(name, reason_code, subject=subject)
    say(link.json, hold_fields(hold), hold_line(hold))


@holds.command("lift")
@linked
def lift_hold(*, name: Name, reason_code: Reason, link: Link) -> None:
    """Lift a hold; what has ended meanwhile is erased soon after.

    \b
    Example:
      unseen hold lift scans CASE-17
    """
    with link.client() as client:
        hold = client.lift_hold(name, reason_code)
    say(link.json, hold_fields(hold), hold_line(hold))


@holds.command("list")
@linked
def list_holds(*, name: Name, link: Link) -> None:
    """List the holds of a collection, lifted ones too.

    \b
    Example:
      unseen hold list scans
    """
    with link.client() as client:
        found = client.holds(name)
    words = "\n".join(hold_line(one) for one in found)
    say(link.json, {"holds": [hold_fields(one) for one in found]}, words or "no hold was ever set")


# Emergencies


@emergencies.command("open")
@linked
def open_emergency(
    *,
    name: Name,
    reason_code: Reason,
    hours: Annotated[float, typer.Option(help="For how long; the policy says how long at most.")] = 1.0,
    grantee: Annotated[
        str, typer.Option(help="Whom to let in; you yourself if left out. Takes the role steward.")
    ] = "",
    link: Link,
) -> None:
    """Search in an emergency, for a purpose that the policy does not have.

    For so long `unseen search --purpose emergency` finds every row whose consent stands. That it was opened, by
    whom and why, and every search, is written down for good.

    \b
    Example:
      unseen emergency open scans ER-2026-117 --hours 2
    """
    with link.client() as client:
        emergency = client.open_emergency(name, reason_code, hours=hours, grantee=grantee)
    say(link.json, emergency_fields(emergency), emergency_line(emergency))


@emergencies.command("end")
@linked
def end_emergency(
    *,
    name: Name,
    grantee: Annotated[str, typer.Option(help="Who is let in; you yourself if left out.")] = "",
    link: Link,
) -> None:
    """End an emergency before its time.

    \b
    Example:
      unseen emergency end scans
    """
    with link.client() as client:
        emergency = client.end_emergency(name, grantee=grantee)
    say(link.json, emergency_fields(emergency), emergency_line(emergency))


@emergencies.command("list")
@linked
def list_emergencies(*, name: Name, link: Link) -> None:
    """List who was let in, and for which reason.

    And until when, and how many searches were made.

    \b
    Example:
      unseen emergency list scans
    """
    with link.client() as client:
        found = client.emergencies(name)
    words = "\n".join(emergency_line(one) for one in found)
    say(link.json, {"emergencies": [emergency_fields(one) for one in found]}, words or "there was no emergency")
