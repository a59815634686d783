"""What the demo says on the terminal: rows of text and number, drawn by rich. Shows names and counts, no pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unseen_client.demo.proxy import Traffic


@dataclass(frozen=True)
class Call:
    """One thing the client did, as the socket saw it."""

    name: str
    traffic: Traffic
    seconds: float


@dataclass(frozen=True)
class Sighting:
    """What a search for one kind of secret found, in pieces."""

    kind: str
    pieces: int
    received: int
    """Pieces found in what the server received."""
    kept: int
    """Pieces found in the server's files and log, after it had stopped."""
    forbidden: bool
    examples: tuple[str, ...] = ()
    """Where to look, when something forbidden was found."""

    @property
    def leaked(self) -> bool:
        """Whether something is where it may never be; nothing at all may lie on the disk in the clear."""
        return bool(self.kept or (self.forbidden and self.received))


def show_bytes(console: Console, calls: Sequence[Call]) -> None:
    """The byte table, counted on the socket."""
    table = _table("Bytes on the socket, counted by a proxy between client and server")
    for column in ("to the server", "from the server", "time"):
        table.add_column(column, justify="right")
    for call in calls:
        table.add_row(call.name, size(call.traffic.up), size(call.traffic.down), f"{call.seconds * 1000:,.0f} ms")
    console.print(table)


def show_sightings(console: Console, sightings: Sequence[Sighting], searched: str) -> None:
    """Who saw what: for each kind of secret, how many of its pieces came by."""
    table = _table("Who saw what: everything the device knows, cut into pieces and looked for at the server", searched)
    for column in ("pieces", "received", "on disk"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("in the clear", no_wrap=True)
    for seen in sightings:
        table.add_row(seen.kind, f"{seen.pieces:,}", f"{seen.received:,}", f"{seen.kept:,}", _verdict(seen))
    console.print(table)
    for seen in sightings:
        for example in seen.examples if seen.leaked else ():
            console.print(Text.assemble("  ", ("found", "red"), f" {seen.kind}: {example}"))


def _verdict(seen: Sighting) -> str:
    if seen.leaked:
        return "[bold red]leaked[/bold red]"
    return "[green]never[/green]" if seen.forbidden else "[yellow]in memory only[/yellow]"


def show_ranks(console: Console, ranks: Sequence[tuple[str, str, str, int]]) -> None:
    """For each query: what was asked, what is right, what came first, and at which place the right one came."""
    table = _table("Queries: the right answers were fixed beforehand")
    table.add_column("right answer")
    table.add_column("best hit")
    table.add_column("place", justify="right")
    for query, right, best, place in ranks:
        table.add_row(*map(Text, (query, right, best)), Text(str(place), "green" if place == 1 else ""))
    console.print(table)


def _table(title: str, caption: str | None = None) -> Table:
    table = Table(title=title, caption=caption, box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.title_style, table.caption_style = "bold", "dim"
    table.add_column("")
    return table


def size(size_bytes: int) -> str:
    """A number of bytes for people: exact while it is small, then in megabytes."""
    return f"{size_bytes:,} B" if size_bytes < 100_000 else f"{size_bytes / 1e6:,.2f} MB"
