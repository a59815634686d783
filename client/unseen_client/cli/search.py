"""The search command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import MalformedMessage
from unseen_client.cli.budget import noise_words
from unseen_client.cli.collections import Name
from unseen_client.cli.language_options import LanguageOptions
from unseen_client.cli.link import Link, linked
from unseen_client.cli.outcome import say
from unseen_client.cli.query_options import QueryOptions
from unseen_client.cli.rows import record_fields
from unseen_client.cli.shown import shown
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen_client.describing.language_model import LanguageModel
    from unseen_client.report import Hit
    from unseen_client.retrieval.query import Query
    from unseen_client.sync import Client


@spread(wanted=QueryOptions, language=LanguageOptions)
@linked
def search(
    *,
    name: Name,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many hits.")] = 10,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Rows that fulfil it, such as 'tag = dog'.")
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="Leave out hits below this score.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Show each hit's relevance: its part of a softmax over all rows.")
    ] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Score the best rows again, without any error.")] = False,
    candidates: Annotated[int | None, typer.Option(help="How many rows to score again.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What for, where the collection has a policy.")] = None,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Have the language model take the words apart into weighted words.")
    ] = False,
    wanted: QueryOptions,
    language: LanguageOptions,
    link: Link,
) -> None:
    """Search; the server sees neither query nor hits.

    The query is encrypted here; the server scores every row on the ciphertext; only this device can read the scores.
    Parts may be given several times and together; 0.5: in front of one is its weight. However many there are, the
    server gets one query. Conditions, cut-off, relevance and re-ranking are this device's own.

    \b
    Examples:
      unseen search photos --words "a striped animal"
      unseen search photos --tag dog --tag "not car"
      unseen search photos --picture zebra.jpg --top-k 3
      unseen search photos --like 3f9a0c51d2e4b687 --not-words 0.5:people
      unseen search photos --words beach --where "taken >= 2024-06-01" --where "tag = holiday"
      unseen search photos --picture zebra.jpg --facet visual=1 --rerank
      unseen search scans --picture scan.png --purpose research
      unseen search photos --words harbour --json | jq -r '.hits[].name'
    """
    model = language.model() if rewrite else None
    query = wanted.query()
    with link.client() as client:
        if model is not None:
            query = _rewritten(client, wanted, model)
        hits = client.search(
            name,
            query,
            top_k=top_k,
            where=where,
            min_score=min_score,
            temperature=temperature,
            rerank=rerank,
            candidates=candidates,
            purpose=purpose,
        )
    if link.json:
        say(True, {"hits": [{"rank": at, **_fields(hit)} for at, hit in enumerate(hits, 1)]}, "")
    else:
        print_hits(hits)


def _rewritten(client: Client, wanted: QueryOptions, model: LanguageModel) -> Query:
    """The query with its words taken apart; as it was, and said so, where the model's answer cannot be used."""
    weight, words = wanted.only_words()
    try:
        made = client.rewrite(words, model)
    except MalformedMessage as error:
        sys.stderr.write(f"note: searched with the words as they are: {error}\n")
        return wanted.query()
    from unseen_client.retrieval.query import Words

    apart = [(part.weight * weight, part.content.text) for part in made.parts if isinstance(part.content, Words)]
    sys.stderr.writelines(f"note: {weight:.2f} {shown(text)}\n" for weight, text in apart)
    return wanted.with_words(apart).query()


def _fields(hit: Hit) -> dict[str, object]:
    relevance = {} if hit.relevance is None else {"relevance": hit.relevance}
    return {"score": hit.score, **relevance, **record_fields(hit.record)}


def print_hits(hits: list[Hit]) -> None:
    """Show hits as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    noised = any(hit.record.noise for hit in hits)
    weighed = any(hit.relevance is not None for hit in hits)
    more = [*(["relevance"] if weighed else []), "id", "name", "caption", "tags", *(["noise"] if noised else [])]
    table = Table("rank", "score", *more, box=None)
    for at, hit in enumerate(hits, 1):
        record = hit.record
        cells = [str(at), f"{hit.score:.3f}", *([f"{hit.relevance:.1%}"] if hit.relevance is not None else [])]
        cells += [hit.id, record.name, record.caption, ", ".join(record.tags)]
        cells += [noise_words(record.noise)] if noised else []
        table.add_row(*(Text(shown(cell)) for cell in cells))  # a Text: brackets in a name are no mark-up
    console = Console()
    console.print(table if hits else "no hits: no row can be searched, or none fulfils what you asked")
    if noised:
        units = sorted({hit.record.noise.unit for hit in hits if hit.record.noise})
        console.print(Text(shown(f"noise: for one release of {', '.join(units)}, as the enrolling device says")))
