"""The public calls about tags and language models as flows. Does no network I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from unseen_client.calls.arguments import AnyPath, as_path, as_paths, several
from unseen_client.describing.language_model import LanguageModel
from unseen_client.describing.rewrite import rewritten
from unseen_client.describing.vocabulary import Vocabulary
from unseen_client.flows import describing
from unseen_client.report import Tagged
from unseen_client.retrieval.query import Query
from unseen_client.session import Session
from unseen_client.steps import Flow, local

Tags: TypeAlias = list[Tagged]


class DescribingProtocol:
    """Part of ``Protocol``."""

    _session: Session

    def tag(
        self, name: str, paths: AnyPath | Iterable[AnyPath], vocabulary: Vocabulary | Iterable[str], most_chance: float
    ) -> Flow[Tags]:
        files = as_paths(paths)
        return describing.tag_pictures(self._session, name, files, as_vocabulary(vocabulary), most_chance)

    def tag_rows(
        self, name: str, ids: str | Iterable[str] | None, vocabulary: Vocabulary | Iterable[str], most_chance: float
    ) -> Flow[Tags]:
        chosen = None if ids is None else several(ids)
        return describing.tag_rows(self._session, name, chosen, as_vocabulary(vocabulary), most_chance)

    def ask(self, name: str, row: str, question: str, model: LanguageModel, picture: AnyPath | None) -> Flow[str]:
        return describing.ask(self._session, name, row, question, model, as_path(picture))

    def rewrite(self, words: str, model: LanguageModel) -> Flow[Query]:
        return local(lambda: rewritten(words, model))


def as_vocabulary(given: Vocabulary | Iterable[str]) -> Vocabulary:
    """A vocabulary, from bare tags too; raises InvalidInput."""
    return given if isinstance(given, Vocabulary) else Vocabulary(several(given))
