"""The options that name the tags to choose from, and how sure one must be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen_client.describing.vocabulary import MOST_CHANCE

if TYPE_CHECKING:
    from unseen_client.describing.vocabulary import Vocabulary


@dataclass(frozen=True)
class TagOptions:
    """A vocabulary of the user's own."""

    tags_from: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tags to choose from, one a line; those that fit are given.")
    ] = None
    try_tag: Annotated[
        list[str] | None, typer.Option("--try", metavar="TAG", help="A tag to choose from; may be repeated.")
    ] = None
    prompt: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="What a tag is put into, such as 'an X-ray of {}'; may be repeated."),
    ] = None
    most_chance: Annotated[
        float, typer.Option(metavar="PART", help="Give a tag when at most this part of everyday words fits as well.")
    ] = MOST_CHANCE

    def vocabulary(self) -> Vocabulary | None:
        """The tags that were given, None for none; raises InvalidInput."""
        from unseen_client.describing.vocabulary import PROMPTS, Vocabulary

        prompts = tuple(self.prompt or PROMPTS)
        read = Vocabulary.read(self.tags_from, prompts).tags if self.tags_from else ()
        return Vocabulary((*read, *(self.try_tag or ())), prompts) if self.tags_from or self.try_tag else None
