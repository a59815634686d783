"""Commands about record keys: what lets a device read a collection's records."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from unseen.errors import InvalidInput, KeyMissing
from unseen_client.cli.link import Json
from unseen_client.cli.outcome import say, telling

PASSPHRASE_VARIABLE = "UNSEEN_PASSPHRASE"  # noqa: S105 - the variable's name

Home = Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of record keys on this device.")]

app = typer.Typer(
    help="Export, import, list record keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def show(*, home: Home = None, as_json: Json = False) -> None:
    """List the record keys that this device holds.

    \b
    Example:
      unseen keys list
    """
    from unseen_client.home import default_home
    from unseen_client.keystore import KeyStore

    with telling(as_json):
        keys = KeyStore(home or default_home()).all()
        fields = [
            {"name": key.name, "collection_uid": key.collection_uid.hex(), "metric": key.metric, "longest": key.longest}
            for key in keys
        ]
        words = "\n".join(f"{key.name}\t{key.collection_uid.hex()}\t{key.metric}" for key in keys)
        say(as_json, {"keys": fields}, words or "no record keys here: unseen create NAME, or unseen keys import FILE")


@app.command("export")
def export(
    *,
    name: Annotated[str, typer.Argument(help="The collection's name, or its uid where names repeat.")],
    file: Annotated[Path, typer.Argument(help="A new file for the key.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a collection's record key to a file, under a passphrase.

    Whoever has the file and the passphrase can read every record of the collection. The passphrase is asked for, or
    taken from UNSEEN_PASSPHRASE.

    \b
    Example:
      unseen keys export photos photos.unseen-key
    """
    from unseen_client.home import default_home
    from unseen_client.key_export import export_key
    from unseen_client.keystore import KeyStore

    with telling(as_json):
        held = [key for key in KeyStore(home or default_home()).all() if name in (key.name, key.collection_uid.hex())]
        if not held:
            raise KeyMissing(f"this device holds no record key for {name!r}; `unseen keys list` shows those it holds")
        if len(held) > 1:
            uids = ", ".join(key.collection_uid.hex() for key in held)
            raise InvalidInput(f"{len(held)} collections are named {name!r}; give the uid instead: {uids}")
        export_key(held[0], file, _passphrase(confirm=True))
        say(as_json, {"exported": held[0].name, "file": str(file)}, f"{file} holds the record key of {held[0].name}")


@app.command("import")
def import_(
    *,
    file: Annotated[Path, typer.Argument(help="A file that `unseen keys export` wrote.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take in a record key, so that this device can read and enrol into its collection.

    \b
    Example:
      unseen keys import photos.unseen-key
    """
    from unseen_client.home import default_home
    from unseen_client.key_export import import_key
    from unseen_client.keystore import KeyStore

    with telling(as_json):
        key = import_key(file, _passphrase(confirm=False))
        KeyStore(home or default_home()).put(key)
        fields: dict[str, object] = {"imported": key.name, "collection_uid": key.collection_uid.hex()}
        say(as_json, fields, f"this device can now read {key.name}")


def _passphrase(*, confirm: bool) -> str:
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given
    if not sys.stdin.isatty():
        raise InvalidInput(f"nobody is there to ask for the passphrase; set {PASSPHRASE_VARIABLE}")
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
