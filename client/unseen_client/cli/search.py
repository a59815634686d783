"""The search command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput
from unseen_client.cli.budget import noise_words
from unseen_client.cli.collections import Name
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say
from unseen_client.cli.rows import read_array, record_fields

if TYPE_CHECKING:
    from unseen_client.report import Hit
    from unseen_client.sync import Client


@linked
def search(
    *,
    name: Name,
    text: Annotated[str | None, typer.Option(help="Words to search for.")] = None,
    image: Annotated[Path | None, typer.Option(help="An image to search for; its faces are covered first.")] = None,
    like: Annotated[str | None, typer.Option(metavar="ID", help="A row of the collection: more like this one.")] = None,
    vector: Annotated[Path | None, typer.Option(help="A .npy file with one vector of your own.")] = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many hits.")] = 10,
    purpose: Annotated[str | None, typer.Option(help="What for, where the collection has a policy.")] = None,
    link: Link,
) -> None:
    """Search, without the server seeing what for or what was found.

    The query is encrypted here; the server scores every row on the ciphertext; only this device can read the scores.

    \b
    Examples:
      unseen search photos --text "a striped animal"
      unseen search photos --image zebra.jpg --top-k 3
      unseen search photos --like 3f9a0c51d2e4b687
      unseen search scans --image scan.png --purpose research
      unseen search photos --text harbour --json | jq -r '.hits[].name'
    """
    given = sum(option is not None for option in (text, image, like, vector))
    if given != 1:
        raise InvalidInput(f"got {given} of --text, --image, --like and --vector; give one")
    with link.client() as client:
        hits = _hits(client, name, text, image, like, vector, top_k, purpose)
    if link.json:
        fields = [{"rank": at, "score": hit.score, **record_fields(hit.record)} for at, hit in enumerate(hits, 1)]
        say(True, {"hits": fields}, "")
    else:
        _print(hits)


def _hits(
    client: Client,
    name: str,
    text: str | None,
    image: Path | None,
    like: str | None,
    vector: Path | None,
    top_k: int,
    purpose: str | None,
) -> list[Hit]:
    if text is not None:
        return client.search_text(name, text, top_k=top_k, purpose=purpose)
    if image is not None:
        return client.search_image(name, image, top_k=top_k, purpose=purpose)
    if like is not None:
        return client.search_like(name, like, top_k=top_k, purpose=purpose)
    if vector is not None:
        return client.search_vector(name, read_array(vector), top_k=top_k, purpose=purpose)
    raise InvalidInput("give one of --text, --image, --like and --vector")


def _print(hits: list[Hit]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    noised = any(hit.record.noise for hit in hits)
    table = Table("rank", "score", "id", "name", "caption", "tags", *(["noise"] if noised else []), box=None)
    for at, hit in enumerate(hits, 1):
        record = hit.record
        cells = [str(at), f"{hit.score:.3f}", hit.id, record.name, record.caption, ", ".join(record.tags)]
        cells += [noise_words(record.noise)] if noised else []
        table.add_row(*map(Text, cells))  # as it stands: brackets in a name are no mark-up
    console = Console()
    console.print(table if hits else "no hits: no row can be searched")
    if noised:
        units = sorted({hit.record.noise.unit for hit in hits if hit.record.noise})
        console.print(Text(f"noise: for one release of {', '.join(units)}, as the enrolling device says"))
