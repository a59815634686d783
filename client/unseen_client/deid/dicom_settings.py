"""How DICOM objects are de-identified: every choice, checked once. Holds no key unless a caller brought one.

For the device only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from unseen.deid.dicom.options import Option, check_options
from unseen.errors import InvalidConfiguration

SITE_KEY_BYTES = 32


class LookForText(StrEnum):
    """In which objects text that is burned into the pixels is looked for and covered."""

    RISKY = "risky"
    """In every object but those whose pixels a scanner computed and that say nothing to the contrary."""
    ALWAYS = "always"
    NEVER = "never"
    """Pixels stay as they are, with whatever is written in them; the report says so."""


def look_for_text(named: str) -> LookForText:
    """The choice of this name; InvalidConfiguration for none."""
    try:
        return LookForText(named)
    except ValueError:
        raise InvalidConfiguration(f"got {named!r}, expected text of {', '.join(LookForText)}") from None


@dataclass(frozen=True)
class DicomSettings:
    """Choices about DICOM objects; InvalidConfiguration when one makes no sense."""

    options: frozenset[Option] = frozenset()
    """What may stay beside the Basic Profile: ``unseen.deid.dicom.options``, docs/dicom.md."""
    text: LookForText = LookForText.RISKY
    keep_marks: bool = False
    """Leave text that is a technical mark as a whole: a ruler's unit, a side, a setting of the machine."""
    site_key: bytes | None = field(default=None, repr=False)
    """What pseudonyms are computed from; None takes the one of ``home``, which is made when there is none."""
    home: Path | None = None
    """Folder of this device's keys; None takes the default one."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "options", frozenset(map(Option, self.options)))
        except (TypeError, ValueError) as error:
            raise InvalidConfiguration(f"got {error}, expected options of {', '.join(Option)}") from error
        object.__setattr__(self, "text", look_for_text(self.text))
        check_options(self.options)
        if self.site_key is not None and len(self.site_key) < SITE_KEY_BYTES:
            raise InvalidConfiguration(
                f"got a site key of {len(self.site_key)} bytes, expected at least {SITE_KEY_BYTES} secret ones"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the choices without key and home, ready for JSON."""
        names = sorted(option.value for option in self.options)
        return {"options": names, "text": self.text.value, "keep_marks": self.keep_marks}
