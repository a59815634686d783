"""Commands about agreements: what a collection may be used for, who answers for it, who accepted it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.collections import Name
from unseen_client.cli.governance_words import agreement_fields, agreement_words, moment
from unseen_client.cli.link import Home, Json, Link, linked
from unseen_client.cli.outcome import say, telling

if TYPE_CHECKING:
    from unseen_client.governed import Agreement

ControllerKey = Annotated[str, typer.Option(help="Name of the controller's key on this device.")]
DRAFT: dict[str, object] = {
    "controller": {"name": "", "contact": "mailto:", "address": "", "representative": ""},
    "contact": "",
    "purposes": [{"id": "research", "description": "", "type": "dpv:ScientificResearch"}],
    "lawful_basis": "eu-gdpr:A6-1-a",
    "special_category_basis": "",
    "data_categories": ["vectors of de-identified images"],
    "data_subjects": [],
    "allowed_uses": ["similarity search"],
    "recipients": [],
    "transfers": [],
    "retention_days": 365,
    "security_measures": ["queries and records are encrypted on the device", "vectors are sealed at rest"],
    "noise": None,
    "emergency": None,
}
"""What `unseen policy draft` prints: to be filled in."""

app = typer.Typer(help="Set, show, accept agreements.", no_args_is_help=True, rich_markup_mode=None)


@app.command("keygen")
def keygen(*, controller_key: ControllerKey = "controller", home: Home = None, as_json: Json = False) -> None:
    """Make a controller's key.

    Policies are signed with it. It is made on this device and stays here. Back the file up: without it no later version
    of a policy can be signed that members' devices accept without asking. Read its fingerprint out to members, so that
    they can compare it.

    \b
    Example:
      unseen policy keygen
    """
    from unseen.governance.keys import fingerprint
    from unseen_client.home import default_home
    from unseen_client.keys.controller_keys import ControllerKeys

    with telling(as_json):
        made = ControllerKeys(home or default_home()).make(controller_key)
        print_ = fingerprint(made.key.public_key)
        say(
            as_json,
            {"key": controller_key, "fingerprint": print_},
            f"made the controller's key {controller_key!r}, fingerprint {print_}",
        )


@app.command("draft")
def draft() -> None:
    """Print terms to be filled in.

    They are JSON. Every field is explained in docs/governance.md.

    \b
    Example:
      unseen policy draft > policy.json
    """
    typer.echo(json.dumps(DRAFT, indent=1))


@app.command("set")
@linked
def set_(
    *,
    name: Name,
    file: Annotated[Path, typer.Argument(help="JSON file with the terms; `unseen policy draft` prints one.")],
    controller_key: ControllerKey = "controller",
    link: Link,
) -> None:
    """Sign terms and put them in force.

    They become the next version of the collection's policy. The first version comes before any row. Members have to
    accept a new version before they enrol again. Takes the role steward.

    \b
    Example:
      unseen policy set scans policy.json
    """
    with link.client() as client:
        agreement = client.set_policy(name, file, key=controller_key)
    words = f"version {agreement.policy.version} is in force, signed by {agreement.fingerprint}"
    say(link.json, agreement_fields(agreement), words)


@app.command("show")
@linked
def show(
    *,
    name: Name,
    version: Annotated[int, typer.Option(min=0, help="Another version than the one in force.")] = 0,
    link: Link,
) -> None:
    """Show a policy and who signed it.

    And whether this device accepted it.

    \b
    Example:
      unseen policy show scans
    """
    with link.client() as client:
        agreement = client.policy(name, version=version)
    say(link.json, agreement_fields(agreement), agreement_words(agreement))


@app.command("accept")
@linked
def accept(
    *,
    name: Name,
    new_key: Annotated[
        str | None, typer.Option(metavar="FINGERPRINT", help="Trust this controller's key instead of the one held.")
    ] = None,
    link: Link,
) -> None:
    """Accept the policy in force.

    Enrolment needs it. The first acceptance trusts the key that the policy is signed with: compare its fingerprint with
    the controller by another way first. A policy signed by another key later is refused.

    \b
    Examples:
      unseen policy accept scans
      unseen policy accept scans --new-key "2e6c 29a0 9d31 de5e 9cc1 1942 6e80 0347"
    """
    with link.client() as client:
        agreement = client.accept_policy(name, new_key=new_key)
    words = f"accepted version {agreement.policy.version} of {name}, signed by {agreement.fingerprint}"
    say(link.json, agreement_fields(agreement), words)


@app.command("history")
@linked
def history(*, name: Name, link: Link) -> None:
    """Show every version, and who accepted it.

    \b
    Example:
      unseen policy history scans
    """
    with link.client() as client:
        versions, acceptances = client.policy_history(name)
    fields: dict[str, object] = {
        "versions": [agreement_fields(one) for one in versions],
        "acceptances": [{"caller": one.caller, "version": one.version, "at": moment(one.at)} for one in acceptances],
    }
    lines = [_version_line(one) for one in versions]
    lines += [f"{moment(one.at)}\t{one.caller} accepted version {one.version}" for one in acceptances]
    say(link.json, fields, "\n".join(lines))


def _version_line(agreement: Agreement) -> str:
    policy = agreement.policy
    purposes = ", ".join(purpose.id for purpose in policy.purposes)
    return f"{moment(policy.issued_at)}\tversion {policy.version} for {purposes}, signed by {agreement.fingerprint}"


@app.command("record-of-processing")
@linked
def record_of_processing(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of JSON.")] = False,
    link: Link,
) -> None:
    """Print the record of processing activities.

    GDPR Art. 30, for every collection with a policy that you may see.

    \b
    Examples:
      unseen policy record-of-processing > record.json
      unseen policy record-of-processing --markdown > record.md
    """
    if markdown and link.json:
        raise InvalidInput("give --json or --markdown, not both")
    from unseen.governance.processing_record import record_as_markdown, record_of_processing

    with link.client() as client:
        activities = client.processing_activities()
    made_at = int(time.time())
    record: dict[str, object] = {**record_of_processing(activities, made_at)}
    say(not markdown, record, record_as_markdown(activities, made_at).rstrip("\n"))
