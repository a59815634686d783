"""Work on many things by several threads, in the order in which they came: a refused one does not stop the others.

Runs where the images are. Holds a few things ahead of the one that is asked for, never all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from unseen.errors import ImageRefused

Given = TypeVar("Given")
Result = TypeVar("Result")


def in_order(
    given: Iterable[Given], work: Callable[[Given], Result], workers: int
) -> Iterator[tuple[Given, Result | ImageRefused]]:
    """Yield each of the given with what ``work`` made of it, or the reason why it is refused."""

    def result_or_refusal(one: Given) -> Result | ImageRefused:
        try:
            return work(one)
        except ImageRefused as refusal:
            return refusal

    with ThreadPoolExecutor(workers, thread_name_prefix="unseen-prepare") as pool:
        ahead: deque[tuple[Given, Future[Result | ImageRefused]]] = deque()
        try:
            for one in given:
                ahead.append((one, pool.submit(result_or_refusal, one)))
                if len(ahead) > 2 * workers:
                    first, future = ahead.popleft()
                    yield first, future.result()
            while ahead:
                first, future = ahead.popleft()
                yield first, future.result()
        finally:
            for _, future in ahead:
                future.cancel()
