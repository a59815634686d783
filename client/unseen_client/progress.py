"""Telling people how far long work has come. Goes to the terminal's error stream, so that output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from unseen_client.steps import Progress

Watcher: TypeAlias = Callable[[Progress], None]


@contextmanager
def watching(progress: bool | Watcher) -> Iterator[Watcher]:
    """A bar for True, nothing for False, the caller's own function as it is."""
    if callable(progress):
        yield progress
    elif progress:
        with _bar() as watcher:
            yield watcher
    else:
        yield lambda _: None


@contextmanager
def _bar() -> Iterator[Watcher]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda step: bar.update(task, description=step.what, completed=step.done, total=step.total)
