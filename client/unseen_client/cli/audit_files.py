"""What the audit commands read from files and write to them: receipts, signed heads, exports."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from unseen.errors import InvalidInput
from unseen.json_text import read_json
from unseen_client.cli.link import Link

if TYPE_CHECKING:
    from unseen.audit.receipt import Receipt


def known_keys(link: Link, origin: str) -> tuple[bytes, ...]:
    """What this device knows of a log, without asking anybody."""
    from unseen_client.home import default_home
    from unseen_client.known_servers import keys_in
    from unseen_client.receipts import receipts_folder

    _, store, name = [*origin.split("/"), "", ""][:3]
    path = receipts_folder(link.home or default_home()) / store / f"{name}.sqlite"
    if not (store.isalnum() and name.isalnum() and path.exists()):
        return ()
    return keys_in(path)


def receipt_named(given: str, kept: list[Receipt]) -> Receipt:
    """The receipt in a file, or the one kept of a leaf with this index; raises InvalidInput, MalformedMessage."""
    from unseen.audit.receipt import Receipt

    if given.isdigit() and not Path(given).exists():
        found = [receipt for receipt in kept if receipt.index == int(given)]
        if not found:
            raise InvalidInput(f"this device keeps no receipt of leaf {given}; `unseen audit receipts` lists them")
        return found[0]
    return Receipt.from_bytes(content(Path(given)))


def note(path: Path) -> str:
    """The signed head in a file: by itself, in a receipt, or at the end of an export."""
    text = content(path).decode("utf-8", "replace")
    for candidate in (text, text.rstrip("\n").rpartition("\n")[2]):
        try:
            fields = read_json(candidate)
        except ValueError:
            continue
        if isinstance(fields, dict) and isinstance(fields.get("head"), str):
            return str(fields["head"])
    return text if text.endswith("\n") else text + "\n"


def content(path: Path) -> bytes:
    """A file's bytes; raises InvalidInput."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def lines(path: Path) -> Iterator[Iterator[bytes]]:
    """A file's lines, one at a time; raises InvalidInput."""
    try:
        with path.open("rb") as file:
            yield iter(file)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def target(path: Path | None) -> Iterator[BinaryIO]:
    """Where an export goes; a file is for its owner alone, and is not left behind when nothing came."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(f"cannot make {path}: {error.strerror}; give a new file") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
