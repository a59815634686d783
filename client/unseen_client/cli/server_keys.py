"""The server-keys command: the keys of a stopped server, by a process of the server's own. The client sees none."""

from __future__ import annotations

import typer

from unseen_client.cli.serve import become_server


def server_keys(context: typer.Context) -> None:
    """See, rotate and renew the keys of a stopped server.

    Starts `python -P -m unseen_server.keys` with everything passed on: status, rotate or rekey; `--help` after each
    shows its options.

    \b
    Example:
      unseen server-keys rotate --data ./index --master-key ./master.key --new-master-key passphrase:./new.key
    """
    become_server("unseen_server.keys", context.args)
