"""What a run of de-identification gives back: one outcome for every file it met. Stays on the device."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from unseen_client.deid.pipeline import Facts


class Outcome(StrEnum):
    """What became of one file."""

    DONE = "done"
    PREVIEWED = "previewed"
    """A dry run: a picture with boxes and scores was written, the file itself was not."""
    ALREADY = "already done"
    """By an earlier run, with the same settings, from the same bytes, and its output is as it was."""
    REFUSED = "refused"
    PASSED_OVER = "passed over"
    """Neither a photograph nor DICOM, by content and by name."""


@dataclass(frozen=True)
class FileOutcome:
    """One file of the input."""

    source: str
    """Its place within the input."""
    outcome: Outcome
    target: str = ""
    """Its place within the output; empty when nothing was written."""
    covered: int = 0
    facts: Facts = field(default_factory=dict)
    code: str = ""
    """Stable name of the reason of a refusal: see ``unseen.errors``."""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value not in ("", {}) or name == "source"}


@dataclass(frozen=True)
class DeidReport:
    """Every file of one run, in the order of the input, and where that is written down."""

    files: tuple[FileOutcome, ...]
    report_file: Path
    """JSON lines that only the owner may read: docs/deidentification.md. Do not hand it on with the pictures."""

    @property
    def refused(self) -> tuple[FileOutcome, ...]:
        """The files of which nothing was written, with their reasons."""
        return tuple(one for one in self.files if one.outcome is Outcome.REFUSED)

    @property
    def complete(self) -> bool:
        """Whether nothing was refused."""
        return not self.refused

    @property
    def covered(self) -> int:
        """Places covered in pictures by this run and the earlier ones that it found done."""
        return sum(one.covered for one in self.files)

    def count(self, outcome: Outcome) -> int:
        """How many files ended so."""
        return self._counts[outcome]

    @property
    def _counts(self) -> Counter[Outcome]:
        return Counter(one.outcome for one in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Return the whole of it ready for JSON."""
        counts = {outcome.name.lower(): self.count(outcome) for outcome in Outcome}
        files = [one.as_dict() for one in self.files]
        return {**counts, "covered": self.covered, "report_file": str(self.report_file), "files": files}

    def __str__(self) -> str:
        parts = [f"{self.count(outcome)} {outcome}" for outcome in Outcome if self.count(outcome)]
        return f"{', '.join(parts) or 'no files'}; {self.covered} places covered"
