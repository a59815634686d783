"""The options that say what enrolled rows rest on: whom they are about, which consent, which purposes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class BasisOptions:
    """What a person may say about all rows of one enrolment."""

    subject: Annotated[
        str | None,
        typer.Option(help="Whom the rows are about, and whose privacy noised ones cost; the server gets a hash."),
    ] = None
    consent: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The consent they rest on; the subject's newest that fits if left out."),
    ] = None
    purpose: Annotated[
        list[str] | None,
        typer.Option(help="What they may be searched for, all that the policy allows if left out; may be repeated."),
    ] = None
