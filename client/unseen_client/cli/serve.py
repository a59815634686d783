"""The serve command: starts the server as a process of its own. The client's code never runs beside the server's.

Other commands that are the server's work (server-keys) start it the same way.
"""

from __future__ import annotations

import os
import subprocess
import sys

import typer

from unseen_client.cli.outcome import telling
from unseen_client.server_program import require_server

CONTEXT_SETTINGS: dict[str, object] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""Every option goes to the server as it is, --help too: it knows its own."""


def serve(context: typer.Context) -> None:
    """Run the server.

    Starts `python -P -m unseen_server` with every option passed on; `unseen serve --help` shows them.

    \b
    Example:
      unseen serve --data ./index --listen 127.0.0.1:7443 --master-key ./master.key
    """
    become_server("unseen_server", context.args)


def become_server(module: str, arguments: list[str]) -> None:
    """Leave this process to a module of the server's; never returns."""
    with telling(as_json=False):
        require_server()
    # -P: without it, code that lies in the working directory would run beside the master key.
    command = [sys.executable, "-P", "-m", module, *arguments]
    if os.name == "posix":
        # The process becomes the server: signals reach it, and nothing of the client stays in memory.
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    raise SystemExit(subprocess.run(command, check=False).returncode)
