"""The options that say what enrolment is to write about pictures by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from unseen_client.cli.language_options import LanguageOptions
from unseen_client.cli.tag_options import TagOptions

if TYPE_CHECKING:
    from unseen_client.describing.describer import Describing


@dataclass(frozen=True)
class DescribeOptions(TagOptions, LanguageOptions):
    """Tags and captions, and what their words count in the row."""

    captions: Annotated[
        bool, typer.Option("--captions", help="Have the language model write a caption where there is none.")
    ] = False
    words_in_row: Annotated[
        float | None,
        typer.Option(metavar="WEIGHT", help="How much tags and caption count in the row, 0 to 0.9; 0.3 unless given."),
    ] = None

    def wish(self) -> Describing | None:
        """What is to be described, None for nothing; raises InvalidInput."""
        vocabulary = self.vocabulary()
        if vocabulary is None and not self.captions and self.words_in_row is None:
            return None
        from unseen_client.describing.describer import WEIGHT, Describing

        return Describing(
            vocabulary,
            self.model() if self.captions else None,
            WEIGHT if self.words_in_row is None else self.words_in_row,
            self.most_chance,
        )
