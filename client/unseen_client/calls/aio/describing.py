"""The calls of ``AsyncClient`` about tags and language models on this device: docs/describing.md."""

from __future__ import annotations

from collections.abc import Iterable

from unseen_client.calls.aio.calls import AsyncCalls
from unseen_client.calls.arguments import AnyPath
from unseen_client.calls.describing_protocol import Tags
from unseen_client.describing.language_model import LanguageModel
from unseen_client.describing.vocabulary import MOST_CHANCE, Vocabulary
from unseen_client.progress import Watcher
from unseen_client.retrieval.query import Query


class DescribingAsyncCalls(AsyncCalls):
    """Part of ``AsyncClient``."""

    async def tag(
        self,
        name: str,
        paths: AnyPath | Iterable[AnyPath],
        vocabulary: Vocabulary | Iterable[str],
        *,
        most_chance: float = MOST_CHANCE,
        progress: bool | Watcher = False,
    ) -> Tags:
        """The tags of a vocabulary that fit image files, by the collection's model; nothing is enrolled.

        Each tag has a score and a chance: the part of everyday words that fit the picture as well. Those of at most
        ``most_chance`` are given. A picture that a step refuses says why. Raises InvalidInput, ModelMismatch.
        """
        return await self._drive(self._protocol.tag(name, paths, vocabulary, most_chance), progress)

    async def tag_rows(
        self,
        name: str,
        vocabulary: Vocabulary | Iterable[str],
        *,
        ids: str | Iterable[str] | None = None,
        most_chance: float = MOST_CHANCE,
    ) -> Tags:
        """The same of rows, all unless ``ids`` are given, from the vectors in their records; the rows stay as they are.

        Raises InvalidInput, ModelMismatch, RowNotFound, KeyMissing.
        """
        return await self._drive(self._protocol.tag_rows(name, ids, vocabulary, most_chance))

    async def ask(
        self,
        name: str,
        id: str,
        question: str,
        model: LanguageModel,
        *,
        picture: AnyPath | None = None,
    ) -> str:
        """What a language model on this device says to a question about a row's picture, its faces covered.

        The picture is the file ``picture``, else the one that the record's ``extra["path"]`` or link names; it must be
        the one that was enrolled. Raises InvalidInput, ImageRefused, RowNotFound, and what the model raises.
        """
        return await self._drive(self._protocol.ask(name, id, question, model, picture))

    async def rewrite(self, words: str, model: LanguageModel) -> Query:
        """Words taken apart by a language model on this device: a query of weighted words, to be searched with.

        Raises MalformedMessage for an answer that is none, and what the model raises.
        """
        return await self._drive(self._protocol.rewrite(words, model))
