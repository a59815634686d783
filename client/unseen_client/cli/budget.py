"""The budget command: what noised releases have cost so far, what is left, and how much there may be."""

from __future__ import annotations

from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen_client.cli.link import Json
from unseen_client.cli.outcome import say, telling

if TYPE_CHECKING:
    from unseen.dp.event import Event
    from unseen.dp.ledger import Statement
    from unseen_client.privacy.book import BudgetReport

SHOWN = 20
"""Subjects printed unless more are asked for: who has least left comes first."""

Epsilon = Annotated[float | None, typer.Option(min=0, help="Set it; inf is no limit.", show_default=False)]


def budget(
    *,
    per_subject: Epsilon = None,
    per_device: Epsilon = None,
    delta: Annotated[float | None, typer.Option(help="Set the delta at which both are counted.")] = None,
    subject: Annotated[str | None, typer.Option(help="Show this subject only.")] = None,
    all_subjects: Annotated[bool, typer.Option("--all", help=f"Show every subject, not the first {SHOWN}.")] = False,
    home: Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of this device's ledger.")] = None,
    as_json: Json = False,
) -> None:
    """Show or set this device's privacy budget.

    That is the epsilon which its noised releases may amount to, for each subject and for the device together. Every
    vector that is enrolled with --noise is charged to both before it leaves; a release above a budget is refused. Rows
    that were enrolled without a subject count each for itself, under their ids.

    Asks no server: the ledger is on this device. docs/differential-privacy.md says what the numbers mean.

    \b
    Examples:
      unseen budget
      unseen budget --per-subject 128 --per-device inf
      unseen budget --subject patient-17 --json
    """
    from unseen_client.home import default_home
    from unseen_client.privacy.book import PrivacyBook

    with telling(as_json):
        book = PrivacyBook(home or default_home())
        if not (per_subject is per_device is delta is None):
            book.set_budgets(per_subject, per_device, delta)
        report = book.report()
        named = report.of(subject) if subject is not None else report
        say(as_json, _fields(named), _words(named, None if all_subjects else SHOWN))


def noise_fields(event: Event | None) -> dict[str, object] | None:
    """What a row's record says of its noise, as JSON has it."""
    if event is None:
        return None
    return {"mechanism": event.mechanism, "epsilon": event.epsilon, "delta": event.delta, "unit": event.unit}


def noise_words(event: Event | None) -> str:
    """The same in a few words; empty where there is none."""
    if event is None:
        return ""
    return f"{event.mechanism}, epsilon {event.epsilon:g}" + (f", delta {event.delta:g}" if event.delta else "")


def _fields(report: BudgetReport) -> dict[str, object]:
    subjects = [{"subject": name, **_statement(one)} for name, one in report.subjects.items()]
    return {"device": _statement(report.device), "subjects": subjects}


def _statement(one: Statement) -> dict[str, object]:
    return {
        "releases": one.spent.releases,
        "epsilon_spent": one.spent.epsilon,
        "epsilon_left": None if isinf(one.left) else one.left,
        "epsilon_budget": None if isinf(one.budget.epsilon) else one.budget.epsilon,
        "delta": one.budget.delta,
        "bound": one.spent.bound,
    }


def _words(report: BudgetReport, most: int | None) -> str:
    shown = list(report.subjects.items())[:most]
    lines = [_line("this device", report.device), *(_line(name, one) for name, one in shown)]
    if len(report.subjects) > len(shown):
        lines.append(f"and {len(report.subjects) - len(shown)} more subjects with as much left or more: --all")
    if not report.device.spent.releases:
        lines.append("nothing was released with noise yet: unseen enrol NAME PATH... --noise privunit:64")
    return "\n".join(lines)


def _line(name: str, one: Statement) -> str:
    budget_words = "no limit" if isinf(one.budget.epsilon) else f"{one.left:.4g} of {one.budget.epsilon:g} left"
    return (
        f"{name}\tepsilon {one.spent.epsilon:.4g} spent at delta {one.budget.delta:g}\t{budget_words}\t"
        f"{one.spent.releases} releases"
    )
