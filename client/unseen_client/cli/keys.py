"""Commands about the keys of this device: how they lie here, and how they are kept elsewhere."""

from __future__ import annotations

import os
import sys
import time
from enum import StrEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli import key_sharing
from unseen_client.cli.link import Json
from unseen_client.cli.outcome import say, telling

if TYPE_CHECKING:
    from unseen_client.keys.given_keys import GivenKey
    from unseen_client.keys.keystore import CollectionKey

EXPORT_VARIABLE = "UNSEEN_PASSPHRASE"
NEW_VARIABLE = "UNSEEN_KEYS_NEW_PASSPHRASE"
"""Where passphrases come from when nobody is there to ask: an export's, and the next one of this device's keys."""

Home = Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of record keys on this device.")]


class Protection(StrEnum):
    """What the keys of a device can be put under."""

    PASSPHRASE = auto()
    KEYRING = auto()


app = typer.Typer(
    help="Protect, share, rotate, export, import, list keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("device")(key_sharing.device)
app.command("share")(key_sharing.share)
app.command("accept")(key_sharing.accept)
app.command("rotate")(key_sharing.rotate)


@app.command("list")
def show(*, home: Home = None, as_json: Json = False) -> None:
    """List the keys that this device holds, what they lie under, and to whom they were given from here.

    \b
    Example:
      unseen keys list
    """
    from unseen_client.home import default_home
    from unseen_client.keys.given_keys import GivenKeys
    from unseen_client.keys.keystore import KeyStore

    with telling(as_json):
        store = KeyStore(home or default_home())
        keys, given = store.all(), GivenKeys(home or default_home(), store.vault).all()
        fields = [
            {
                "name": key.name,
                "collection_uid": key.collection_uid.hex(),
                "metric": key.metric,
                "longest": key.longest,
                "key_id": key.key_id,
                "protection": "owner" if key.owner_key else "sealed",
            }
            for key in keys
        ]
        words = "\n".join(f"{key.name}\t{key.collection_uid.hex()}\t{key.metric}\tkey {key.key_id}" for key in keys)
        words = words or "no record keys here: unseen create NAME, or unseen keys import FILE"
        held = {key.key_id for key in keys}
        lines = [
            words,
            f"on this device they lie under: {store.vault.protection}",
            *(_given(one, held) for one in given),
        ]
        told: dict[str, object] = {
            "keys": fields,
            "under": store.vault.protection,
            "given": [vars(one) | {"still_in_use": one.key_id in held} for one in given],
        }
        say(as_json, told, "\n".join(lines))


def _given(one: GivenKey, held: set[str]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.at_s))
    rotated = "" if one.key_id in held else ", not in use here any more"
    return f"given\t{when}\t{one.name}, key {one.key_id}{rotated}\t{one.how} {one.to}\t{one.label}".rstrip()


@app.command("protect")
def protect(
    *,
    under: Annotated[Protection, typer.Argument(help="passphrase, or the operating system's keyring.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put every key of this device under a passphrase or the system's keyring, or under another one.

    The new passphrase is asked for, or taken from UNSEEN_KEYS_NEW_PASSPHRASE. Every later command asks for it, or takes
    it from UNSEEN_KEYS_PASSPHRASE or from the open file that UNSEEN_KEYS_PASSPHRASE_FD names. Losing it loses the keys:
    have an export first.

    \b
    Examples:
      unseen keys protect passphrase
      unseen keys protect keyring
    """
    from unseen_client.home import default_home
    from unseen_client.keys.vault import Vault

    with telling(as_json):
        vault = Vault(home or default_home())
        if under is Protection.KEYRING:
            vault.protect_with_keyring()
        else:
            vault.open()  # the old passphrase before the new one
            vault.protect_with_passphrase(_passphrase(NEW_VARIABLE, "New passphrase", confirm=True))
        say(as_json, {"under": str(under)}, f"every key of this device lies under the {under} now")


@app.command("export")
def export(
    *,
    name: Annotated[str, typer.Argument(help="The collection's name, or its uid where names repeat.")],
    file: Annotated[Path, typer.Argument(help="A new file for the key; shares get one each, numbered.")],
    printable: Annotated[bool, typer.Option("--printable", help="A sheet to print, without a passphrase.")] = False,
    shares: Annotated[str | None, typer.Option(help="Sheets of which only some open: 2-of-3.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a collection's key to a file, under a passphrase, or as a recovery kit for paper.

    Whoever has the file and the passphrase can read the collection. The passphrase is asked for, or taken from
    UNSEEN_PASSPHRASE. A sheet needs none: print it, put it in a safe, remove the file. Of shares it takes the first
    number to open the collection; keep them apart.

    \b
    Examples:
      unseen keys export photos photos.unseen-key
      unseen keys export secret sheet.txt --printable
      unseen keys export secret sheet.txt --shares 2-of-3
    """
    from unseen_client.home import default_home
    from unseen_client.keys.given_keys import GivenKeys
    from unseen_client.keys.key_export import export_key
    from unseen_client.keys.keystore import KeyStore

    with telling(as_json):
        where = home or default_home()
        store = KeyStore(where)
        key = store.named(name)
        how, to = "file", str(file)
        needed, made = _needed_of(shares)
        if printable or shares:
            files = _write_sheets(key, file, needed, made)
            how, to = ("sheet", "1") if made == 1 else ("shares", f"{needed}-of-{made}")
        else:
            export_key(key, file, _passphrase(EXPORT_VARIABLE, "Passphrase", confirm=True))
            files = [file]
        GivenKeys(where, store.vault).note(key, how, to, "", time.time())
        words = "\n".join(f"{one} holds the key of {key.name}" for one in files)
        if how == "shares":
            words = "\n".join([*(str(one) for one in files), f"any {needed} of these {made} open {key.name}"])
        fields: dict[str, object] = {"exported": key.name, "file": str(file), "files": [str(one) for one in files]}
        say(as_json, fields, words)


def _needed_of(shares: str | None) -> tuple[int, int]:
    if shares is None:
        return 1, 1
    needed, _, made = shares.partition("-of-")
    if not (needed.isdecimal() and made.isdecimal() and made != "1"):
        raise InvalidInput(f"got --shares {shares!r}; give for example 2-of-3")
    return int(needed), int(made)


def _write_sheets(key: CollectionKey, file: Path, needed: int, made: int) -> list[Path]:
    from unseen_client.home import write_new_private
    from unseen_client.keys.recovery_sheet import sheets

    texts = sheets(key, needed, made)
    files = [
        file if made == 1 else file.with_name(f"{file.stem}-{number}-of-{made}{file.suffix}")
        for number in range(1, made + 1)
    ]
    if there := [str(one) for one in files if one.exists()]:
        raise InvalidInput(f"{', '.join(there)} exists; name a new file")
    for one, text in zip(files, texts, strict=True):
        write_new_private(one, text.encode())
    return files


@app.command("import")
def import_(
    *,
    files: Annotated[
        list[Path], typer.Argument(help="What `unseen keys export` wrote; of shares as many as it takes.")
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take in a key, so that this device can read and enrol into its collection.

    \b
    Examples:
      unseen keys import photos.unseen-key
      unseen keys import sheet-1-of-3.txt sheet-3-of-3.txt
    """
    from unseen_client.home import default_home
    from unseen_client.keys.key_export import read_small, unwrap
    from unseen_client.keys.keystore import KeyStore
    from unseen_client.keys.recovery_sheet import is_sheet, key_of

    with telling(as_json):
        data = [read_small(file) for file in files]
        if all(map(is_sheet, data)):
            key = key_of([one.decode("utf-8", "replace") for one in data])
        elif len(data) == 1:
            key = unwrap(data[0], _passphrase(EXPORT_VARIABLE, "Passphrase", confirm=False))
        else:
            raise InvalidInput(
                f"got {len(data)} files, not all of them recovery sheets; import other exports one by one"
            )
        KeyStore(home or default_home()).put(key)
        fields: dict[str, object] = {"imported": key.name, "collection_uid": key.collection_uid.hex()}
        say(as_json, fields, f"this device can now read {key.name}")


def _passphrase(variable: str, prompt: str, *, confirm: bool) -> str:
    if given := os.environ.get(variable):
        return given
    if not sys.stdin.isatty():
        raise InvalidInput(f"nobody is there to ask for the passphrase; set {variable}")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))
