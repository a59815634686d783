"""Commands about copies of everything a server keeps: fetch one, put one back, examine what lies there.

A backup is fetched over the contract, by an operator. Restoring and examining are work on the files of a stopped
server: a process of the server's own does them, and the client sees none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say
from unseen_client.cli.serve import become_server


@linked
def backup(
    *,
    file: Annotated[Path, typer.Argument(help="A new file, or a folder to put one into.", show_default=False)],
    link: Link,
) -> None:
    """Fetch a backup of a running server. Takes the role operator.

    The server goes on serving. The file holds everything it keeps, sealed as on its disk, and no key: keep copies
    of the key ring and the master key elsewhere. It appears when it is whole and was read again.

    \b
    Example:
      unseen backup /backups
    """
    with link.client() as client:
        made = client.backup(file)
    fields = {
        "file": str(made.path),
        "size_bytes": made.size_bytes,
        "sha256": made.sha256.hex(),
        "store_uid": made.store_uid.hex(),
    }
    say(link.json, fields, f"{made.path}: {made.size_bytes} bytes, read again; SHA-256 {made.sha256.hex()}")


def restore(context: typer.Context) -> None:
    """Put a backup where a server will serve it from.

    Starts `python -P -m unseen_server.restore` with everything passed on; `unseen restore --help` shows its options.
    Nothing may be there yet. With today's key ring, what was erased since the backup does not come back; with a copy of
    the ring from before the erasure it does.

    \b
    Example:
      unseen restore unseen.backup --data ./index --master-key ./master.key
    """
    become_server("unseen_server.restore", context.args)


def doctor(context: typer.Context) -> None:
    """Examine a stopped server's store: every seal.

    Starts `python -P -m unseen_server.doctor` with everything passed on; `unseen doctor --help` shows its options.
    It writes nothing. A backup is examined with --backup.

    \b
    Examples:
      unseen doctor --data ./index --master-key ./master.key
      unseen doctor --backup unseen.backup --master-key ./master.key
    """
    become_server("unseen_server.doctor", context.args)
