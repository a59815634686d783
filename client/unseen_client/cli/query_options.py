"""The options that a query is put together from: each may be given several times, with a weight in front."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidInput

if TYPE_CHECKING:
    from unseen_client.retrieval.query import Query

Texts = list[str] | None
_WEIGHED = re.compile(r"(\d*\.\d+):(.+)", re.DOTALL)
"""A weight has a decimal point, so that "3:10 to Yuma" is words."""
_FACET = re.compile(r"(\w+)=([+-]?\d+(?:\.\d+)?|[+-]?\.\d+)")


@dataclass(frozen=True)
class QueryOptions:
    """What is searched for."""

    words: Annotated[Texts, typer.Option("--words", "--text", help="Words to search for; 0.5:WORDS counts half.")] = (
        None
    )
    picture: Annotated[
        Texts, typer.Option("--picture", "--image", help="An image to search for; its faces are covered first.")
    ] = None
    tag: Annotated[Texts, typer.Option(help="A tag that is to fit; 'not car' for one that is not.")] = None
    like: Annotated[Texts, typer.Option(metavar="ID", help="A row of the collection: more like this one.")] = None
    vector: Annotated[Texts, typer.Option(metavar="FILE", help="A .npy file with one vector of your own.")] = None
    not_words: Annotated[Texts, typer.Option(metavar="TEXT", help="Words for what is not wanted.")] = None
    not_picture: Annotated[Texts, typer.Option(metavar="FILE", help="An image of what is not wanted.")] = None
    not_like: Annotated[Texts, typer.Option(metavar="ID", help="A row like which nothing is wanted.")] = None
    not_vector: Annotated[Texts, typer.Option(metavar="FILE", help="A vector of what is not wanted.")] = None
    facet: Annotated[
        Texts, typer.Option(metavar="NAME=WEIGHT", help="What counts: visual=1 how it looks, semantic=1 what is on it.")
    ] = None

    def query(self) -> Query:
        """All parts with their weights; raises InvalidInput when there is none."""
        from unseen_client.retrieval.query import Query

        made: list[tuple[Sequence[str] | None, float, Callable[[str], Query]]] = [
            (self.words, 1.0, Query.words),
            (self.tag, 1.0, Query.tag),
            (self.picture, 1.0, Query.picture),
            (self.like, 1.0, Query.like),
            (self.vector, 1.0, _vector),
            (self.not_words, -1.0, Query.words),
            (self.not_picture, -1.0, Query.picture),
            (self.not_like, -1.0, Query.like),
            (self.not_vector, -1.0, _vector),
        ]
        whole = sum(
            (sign * weight * part(text) for texts, sign, part in made for weight, text in _weighed(texts)), Query()
        )
        if not whole.parts:
            raise InvalidInput("got nothing to search for; give --words, --tag, --picture, --like or --vector")
        return whole.facets(**self._facets()) if self.facet else whole

    def only_words(self) -> tuple[float, str]:
        """The one --words with its weight; raises InvalidInput where there is none, or more."""
        given = list(_weighed(self.words))
        if len(given) != 1:
            raise InvalidInput(
                "--rewrite takes one --words apart; give it once, with other parts beside it if you like"
            )
        return given[0]

    def with_words(self, apart: Sequence[tuple[float, str]]) -> QueryOptions:
        """The same with other words, each with its weight, in place of --words."""
        wanted = [f"{weight:.6f}:{text}" for weight, text in apart if weight > 0]
        not_wanted = [f"{-weight:.6f}:{text}" for weight, text in apart if weight < 0]
        return replace(self, words=wanted, not_words=[*(self.not_words or ()), *not_wanted])

    def _facets(self) -> dict[str, float]:
        matches = [_FACET.fullmatch(one) for one in self.facet or ()]
        if None in matches:
            raise InvalidInput("got a facet that is none, expected NAME=WEIGHT, such as --facet visual=1")
        return {match.group(1): float(match.group(2)) for match in matches if match}


def _vector(path: str) -> Query:
    from unseen_client.array_file import read_array
    from unseen_client.retrieval.query import Query

    return Query.vector(read_array(Path(path)))


def _weighed(texts: Sequence[str] | None) -> Iterator[tuple[float, str]]:
    """Each text with its weight, 1 where none stands in front."""
    for text in texts or ():
        match = _WEIGHED.fullmatch(text)
        yield (float(match.group(1)), match.group(2)) if match else (1.0, text)
