"""Options that several commands share: declared once as a frozen dataclass, spread into each command that asks for it.

    @spread(faces=FaceOptions)
    def deid(*, source: ..., faces: FaceOptions) -> None: ...

To the person typing, every field of FaceOptions is an option of `deid`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

Command = Callable[..., None]


def spread(**shared: type[Any]) -> Callable[[Command], Command]:
    """Replace each named argument of a command with the options of its dataclass."""

    def change(command: Command) -> Command:
        own = [at for at in inspect.signature(command, eval_str=True).parameters.values() if at.name not in shared]
        parts = {name: _options(kind) for name, kind in shared.items()}

        @functools.wraps(command)
        def with_options(**values: object) -> None:
            gathered = {
                name: kind(**{at.name: values.pop(at.name) for at in parts[name]}) for name, kind in shared.items()
            }
            command(**values, **gathered)

        every = [*own, *(at for options in parts.values() for at in options)]
        with_options.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        with_options.__annotations__ = {at.name: at.annotation for at in every}
        return with_options

    return change


def _options(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(at.name, inspect.Parameter.KEYWORD_ONLY, default=at.default, annotation=hints[at.name])
        for at in fields(kind)
    ]
