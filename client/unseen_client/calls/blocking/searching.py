"""Searches: docs/search.md.

Made of calls/aio by scripts/blocking_calls.py: change that and run it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy.typing as npt

from unseen_client.calls.arguments import AnyPath
from unseen_client.calls.blocking.calls import Calls
from unseen_client.report import Hit
from unseen_client.retrieval.query import Query
from unseen_client.retrieval.where import Where

Hits: TypeAlias = list[Hit]


class SearchingCalls(Calls):
    """Part of ``Client``."""

    def search(
        self,
        name: str,
        query: Query,
        *,
        top_k: int = 10,
        where: Where = None,
        min_score: float | None = None,
        temperature: float | None = None,
        rerank: bool = False,
        candidates: int | None = None,
        purpose: str | None = None,
    ) -> Hits:
        """The best rows for a query put together from parts, such as ``Query.words("beach") - 0.5 * Query.like(id)``.

        A score is the weighted sum of the scores that the parts would give. All that follows happens on this device:
        ``where`` are conditions on records ("tag = dog"), all of which must hold, or a function of a Record;
        ``min_score`` cuts off; ``temperature`` gives each hit a relevance, its part of the softmax over all rows that
        fulfil ``where``; ``rerank`` scores the best ``candidates`` again with the vectors in their records.
        docs/search.md says more. Raises InvalidInput, InvalidVector, ImageRefused, ModelMismatch, RowNotFound,
        KeyMissing.
        """
        flow = self._protocol.search(name, query, top_k, where, min_score, temperature, rerank, candidates, purpose)
        return self._drive(flow)

    def search_image(self, name: str, path: AnyPath, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like an image file, best first; raises ImageRefused, ModelMismatch, KeyMissing."""
        return self._drive(self._protocol.search_image(name, path, top_k, purpose))

    def search_text(self, name: str, text: str, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like words, best first; raises ModelMismatch, KeyMissing."""
        return self._drive(self._protocol.search_text(name, text, top_k, purpose))

    def search_vector(self, name: str, vector: npt.ArrayLike, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like a vector (d,), best first; raises InvalidVector, KeyMissing."""
        return self._drive(self._protocol.search_vector(name, vector, top_k, purpose))

    def search_like(self, name: str, id: str, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """More like the row ``id``, which is left out itself; raises RowNotFound, KeyMissing."""
        return self._drive(self._protocol.search_like(name, id, top_k, purpose))
