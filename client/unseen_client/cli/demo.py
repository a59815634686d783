"""The demo command: a hook to the demonstration, which is loaded when it is asked for."""

from __future__ import annotations

import typer

CONTEXT_SETTINGS: dict[str, object] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""The demonstration reads its own options, --help too."""


def demo(context: typer.Context) -> None:
    """Show the whole of Unseen on photographs.

    Enrols them, searches them, and shows who saw what.

    \b
    Examples:
      unseen demo --out demo-out
      unseen demo --images ~/Pictures --out demo-out
    """
    from unseen_client.demo import main

    raise SystemExit(main(context.args))
