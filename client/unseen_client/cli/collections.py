"""Commands about whole collections."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say

if TYPE_CHECKING:
    from unseen.types import CollectionInfo

OWNER = "owner"
"""As in ``unseen_client.flows.collections``, which takes longer to import than a command line may."""
Name = Annotated[str, typer.Argument(help="The collection's name.", show_default=False)]


@linked
def create(
    *,
    name: Name,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model of the vectors: 'bundled', one of `unseen adapters list`; '+dicom' behind it for DICOM."
        ),
    ] = None,
    dimension: Annotated[int | None, typer.Option(help="For vectors of your own: how many numbers each has.")] = None,
    parameters: Annotated[str | None, typer.Option(help="Encryption parameter set: see docs/parameters.md.")] = None,
    keep_vectors: Annotated[bool, typer.Option(help="Keep vectors in the sealed records, for search --like.")] = True,
    metric: Annotated[
        str, typer.Option(help="How vectors of your own are compared: cosine, dot, l2 or l1.")
    ] = "cosine",
    longest: Annotated[float, typer.Option(help="For dot, l2, l1: the length of your longest vector.")] = 1.0,
    protection: Annotated[
        str, typer.Option(help="sealed, or owner: rows encrypted on this device. See docs/owner-encrypted.md.")
    ] = "sealed",
    link: Link,
) -> None:
    """Make a collection and its record key.

    The key is made on this device and stays here.

    Only devices that hold the record key can enrol, and read names, captions and thumbnails: hand it on with
    `unseen keys export`. Nobody can make it again, so keep an export.

    \b
    Examples:
      unseen create photos
      unseen create scans --model bundled+dicom
      unseen create articles --dimension 768
      unseen create readings --dimension 64 --metric l2 --longest 20
      unseen create secret --protection owner     after unseen keys protect
    """
    with link.client() as client:
        made = client.create_collection(
            name,
            model=model,
            dimension=dimension,
            parameters=parameters,
            keep_vectors=keep_vectors,
            metric=metric,
            longest=longest,
            protection=protection,
        )
    words = f"created {made.name}: {made.dimension} numbers a row, model {made.model_id}"
    say(link.json, fields_of(made), words)


@linked
def show(*, link: Link) -> None:
    """Show every collection on the server.

    \b
    Examples:
      unseen collections
      unseen collections --json | jq -r '.collections[].name'
    """
    with link.client() as client:
        found = client.list_collections()
    words = "\n".join(
        f"{one.name}\t{one.rows} rows\t{one.dimension} numbers\tmodel {one.model_id}\t{_seen(one)}" for one in found
    )
    say(
        link.json, {"collections": [fields_of(one) for one in found]}, words or "no collections yet: unseen create NAME"
    )


@linked
def delete(
    *,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    link: Link,
) -> None:
    """Delete a collection with every row.

    On this device its mirror and its record key are destroyed too.

    \b
    Example:
      unseen delete photos
    """
    if not yes:
        if link.json:
            raise InvalidInput("with --json nobody is asked; add --yes to delete")
        typer.confirm(f"Delete {name} with every row, for good?", abort=True, err=True)
    with link.client() as client:
        client.delete_collection(name)
    say(link.json, {"deleted": name}, f"deleted {name}")


@linked
def info(*, link: Link) -> None:
    """Show what the server is and takes.

    \b
    Example:
      unseen info --server 127.0.0.1:7443
    """
    from unseen.governance.keys import fingerprint

    with link.client() as client:
        facts = client.server_info()
    lists: dict[str, list[str]] = {
        "parameter_ids": list(facts.parameter_ids),
        "signing_keys": [fingerprint(key) for key in facts.signing_keys],
    }
    fields: dict[str, object] = {**asdict(facts), "store_uid": facts.store_uid.hex(), **lists}
    shown = {**fields, **{key: ", ".join(values) for key, values in lists.items()}}
    say(link.json, fields, "\n".join(f"{key}\t{value}" for key, value in shown.items()))


def fields_of(one: CollectionInfo) -> dict[str, object]:
    """A collection as JSON has it."""
    return {**asdict(one), "uid": one.uid.hex(), "protection": protection_of(one)}


def protection_of(one: CollectionInfo) -> str:
    """Which protection a collection has, as its server says."""
    from unseen.params import is_owner

    return OWNER if is_owner(one.parameter_id) else "sealed"


def _seen(one: CollectionInfo) -> str:
    """What of a collection its server can see, for people."""
    is_owner = protection_of(one) == OWNER
    return "owner-encrypted: the server sees sizes only" if is_owner else "sealed: the server holds the vectors"
