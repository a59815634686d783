"""What the public calls take: the kinds of arguments, and each of them as the flows want it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unseen.audit.receipt import Receipt
from unseen_client.access import TokenInfo
from unseen_client.flows.consents import AnyConsent
from unseen_client.records import Record

if TYPE_CHECKING:
    from unseen.dp.mechanism import Mechanism
    from unseen_client.dicom.source import DicomSource

AnyPath: TypeAlias = str | os.PathLike[str]
AnySource: TypeAlias = "AnyPath | DicomSource"
Receipts: TypeAlias = list[Receipt]
Noise: TypeAlias = "Mechanism | str | None"
"""A mechanism, or its text: PrivUnit(64) is "privunit:64"."""
Subject: TypeAlias = str | Sequence[str] | None
"""Whom rows are about, and whose privacy they cost: one for all rows, one for each, or each row for itself."""
GivenConsent: TypeAlias = "AnyConsent | Sequence[AnyConsent] | None"
"""What rows rest on: a consent or its record id, one for all or one for each."""
Purpose: TypeAlias = str | Sequence[str] | None
"""What rows may be searched for: one or more purposes of the agreement."""
Tokens: TypeAlias = list[TokenInfo]
Records: TypeAlias = list[Record]
"""What lists give; named, because inside the classes of calls ``list`` is the method."""


def milliseconds(moment: datetime | None) -> int:
    """Since 1970, 0 for None; a moment without a time zone is this machine's."""
    return 0 if moment is None else max(0, int(moment.timestamp() * 1000))


def several(given: str | Iterable[str]) -> tuple[str, ...]:
    """One text or several, as several."""
    return (given,) if isinstance(given, str) else tuple(given)


def as_paths(given: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """One path or several, as several."""
    return [Path(path) for path in ([given] if isinstance(given, (str, os.PathLike)) else given)]


def as_path(given: AnyPath | None) -> Path | None:
    """A path, where one is given."""
    return None if given is None else Path(given)


def as_sources(given: AnySource | Iterable[AnySource]) -> list[Path | DicomSource]:
    """The same for what may come from somewhere else than a path."""
    if isinstance(given, (str, os.PathLike)) or not isinstance(given, Iterable):
        given = [given]
    return [Path(one) if isinstance(one, (str, os.PathLike)) else one for one in given]


def as_mechanism(noise: Noise) -> Mechanism | None:
    """The mechanism that was given or named; raises InvalidConfiguration for what is none."""
    from unseen.dp.mechanism import Mechanism
    from unseen.dp.text import mechanism_from_text

    if noise is None or isinstance(noise, Mechanism):
        return noise
    return mechanism_from_text(noise)
