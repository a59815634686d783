"""The tokens commands: through the server or, with --data, on its machine while it does not run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say
from unseen_client.cli.serve import become_server

if TYPE_CHECKING:
    from unseen_client.access import Quota, TokenInfo

OFFLINE = ("--data", "--store")
"""One of these says where the server's data lies, and so that the command is for its machine."""
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(help="Make, list, revoke tokens.", no_args_is_help=True, rich_markup_mode=None)


@app.command("create", context_settings=SETTINGS)
@linked
def create(
    *,
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Who will use it: what quotas and the audit log know them by.")],
    role: Annotated[
        list[str], typer.Option(help="reader, contributor, steward, operator, auditor or admin; several are possible.")
    ],
    tenant: Annotated[str | None, typer.Option(help="Whose data; the tenant of your own token when left out.")] = None,
    collection: Annotated[list[str] | None, typer.Option(help="Reach these only; several are possible.")] = None,
    expires: Annotated[str, typer.Option(help="90d, 12h or 30min; a year at most.")] = "90d",
    certificate: Annotated[
        str | None, typer.Option(help="A client certificate's common name; with --data only.")
    ] = None,
    calls_at_once: Annotated[
        int | None, typer.Option(min=1, help="Calls under way; the server's when left out.")
    ] = None,
    bytes_per_minute: Annotated[int | None, typer.Option(min=1, help="Bytes sent to the server.")] = None,
    searches_per_minute: Annotated[int | None, typer.Option(min=1, help="Searches.")] = None,
    bits_per_row_per_day: Annotated[
        int | None, typer.Option(min=1, help="Bits about each row: docs/access.md.")
    ] = None,
    link: Link,
) -> None:
    """Make a token and print it, once.

    Whoever has it may do what it says, so hand it on as you would a password. It may do no more than your own.

    The first token of a server is made on its machine: with --data DIR --master-key FILE, while it does not run.

    \b
    Examples:
      unseen tokens create --name ward-3 --role reader --collection photos --expires 90d
      unseen tokens create --data ./index --master-key ./master.key --tenant clinic --name head --role admin
    """
    quotas = {
        "--calls-at-once": calls_at_once,
        "--bytes-per-minute": bytes_per_minute,
        "--searches-per-minute": searches_per_minute,
        "--bits-per-row-per-day": bits_per_row_per_day,
    }
    if _is_offline(context.args):
        options = {"--name": name, "--tenant": tenant, "--expires": expires, "--certificate": certificate, **quotas}
        arguments = [f"{option}={value}" for option, value in options.items() if value is not None]
        arguments += [f"--role={one}" for one in role] + [f"--collection={one}" for one in collection or ()]
        _run_offline("create", [*arguments, *context.args], link.json)
    if certificate is not None:
        raise InvalidInput("certificates are bound on the server's machine: give --data and --master-key as well")
    with link.client() as client:
        text = client.create_token(
            name, role, tenant=tenant, collections=collection or None, expires=expires, quota=_quota(quotas)
        )
    say(link.json, {"token": text}, text)
    if not link.json:
        sys.stderr.write("this is shown once; from now on the server wants a token for every call\n")


@app.command("list", context_settings=SETTINGS)
@linked
def show(*, context: typer.Context, link: Link) -> None:
    """List the tokens that you could have made, without anything that lets you use them.

    \b
    Example:
      unseen tokens list
    """
    if _is_offline(context.args):
        _run_offline("list", context.args, link.json)
    with link.client() as client:
        found = client.list_tokens()
    say(link.json, {"tokens": [fields_of(one) for one in found]}, "\n".join(map(_words, found)) or "no tokens yet")


@app.command("revoke", context_settings=SETTINGS)
@linked
def revoke(
    *, context: typer.Context, uid: Annotated[str, typer.Argument(help="As `unseen tokens list` shows it.")], link: Link
) -> None:
    """End a token for good: its next call is refused.

    \b
    Example:
      unseen tokens revoke 0f3ca1b2c3d4e5f60718293a4b5c6d7e
    """
    if _is_offline(context.args):
        _run_offline("revoke", [uid, *context.args], link.json)
    with link.client() as client:
        client.revoke_token(uid)
    say(link.json, {"revoked": uid}, f"revoked {uid}")


@app.command("whoami")
@linked
def whoami(
    *,
    collection: Annotated[str | None, typer.Option(help="Also show what is left of the bits of its rows.")] = None,
    link: Link,
) -> None:
    """Show who you are to the server, and what you may do and use.

    \b
    Example:
      unseen tokens whoami --collection photos
    """
    with link.client() as client:
        own = client.access(collection)
    quota = dict(vars(own.quota))
    fields: dict[str, object] = {
        "tenant": own.tenant,
        "name": own.name,
        "roles": list(own.roles),
        "collections": None if own.collections is None else list(own.collections),
        "quota": quota,
        "bits_per_row_left": own.bits_per_row_left,
    }
    lines = [
        f"tenant\t{own.tenant or '(first tenant)'}",
        f"name\t{own.name}",
        f"roles\t{', '.join(own.roles)}",
        f"reach\t{_scope(own.collections)}",
        *(
            f"{name.replace('_', ' ')}\t{'no limit' if value is None else f'{value:,}'}"
            for name, value in quota.items()
        ),
    ]
    if collection is not None:
        left = "no limit" if own.bits_per_row_left is None else f"{own.bits_per_row_left:,}"
        lines.append(f"bits per row left\t{left}")
    say(link.json, fields, "\n".join(lines))


def fields_of(one: TokenInfo) -> dict[str, object]:
    """A token as JSON has it."""
    return {
        "uid": one.uid,
        "tenant": one.tenant,
        "name": one.name,
        "roles": list(one.roles),
        "collections": None if one.collections is None else list(one.collections),
        "expires_at": one.expires_at,
        "revoked_at": one.revoked_at,
        "made_by": one.made_by,
        "certificate": one.certificate,
    }


def _words(one: TokenInfo) -> str:
    end = f"until {datetime.fromtimestamp(one.expires_at, UTC):%Y-%m-%d %H:%M} UTC"
    state = "revoked" if one.revoked_at is not None else end if one.stands(time.time()) else "expired"
    tenant = one.tenant or "(first tenant)"
    return "\t".join([one.uid, tenant, one.name, ", ".join(one.roles), _scope(one.collections), state])


def _scope(collections: Sequence[str] | None) -> str:
    return "every collection" if collections is None else ", ".join(collections)


def _quota(options: dict[str, int | None]) -> Quota:
    from unseen_client.access import Quota

    return Quota(*options.values())


def _is_offline(extra: Sequence[str]) -> bool:
    """Whether the options that are left are the server's; InvalidInput when they are nobody's."""
    offline = any(one.partition("=")[0] in OFFLINE for one in extra)
    if extra and not offline:
        raise InvalidInput(f"no such option: {extra[0]}; `unseen tokens create --help` shows those there are")
    return offline


def _run_offline(command: str, arguments: Sequence[str], as_json: bool) -> None:
    """Leave this process to the server's own command; never returns."""
    become_server("unseen_server.access", [command, *(["--json"] if as_json else []), *arguments])
