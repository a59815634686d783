"""The words that pictures may be tagged with: the user's own list, and the sentences that each is put into.

For the device only: a vocabulary says what somebody looks for in their pictures. A file has one tag a line; empty lines
and lines that begin with # are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unseen.errors import InvalidInput

MOST_TAGS = 10_000
"""Each takes some milliseconds of the words' encoder, once."""
LONGEST_TAG = 200
LARGEST_FILE_BYTES = 1 << 22
PLACE = "{}"
"""Where a prompt takes the tag in."""
PROMPTS = (PLACE, "a photo of {}", "a picture of {}")
"""A tag is the mean of what these say: no one sentence's wording decides. The tag alone is what a search asks for."""
MOST_PROMPTS = 100
MOST_CHANCE = 0.02
"""The part of everyday words that may fit a picture as well as a tag that is given: ``describing.tagger``."""


@dataclass(frozen=True)
class Vocabulary:
    """Tags that may be given, in the user's order, each once; raises InvalidInput for what is none."""

    tags: tuple[str, ...]
    prompts: tuple[str, ...] = PROMPTS

    def __post_init__(self) -> None:
        tags = tuple(dict.fromkeys(tag.strip() for tag in self.tags))
        if not 1 <= len(tags) <= MOST_TAGS or not all(0 < len(tag) <= LONGEST_TAG for tag in tags):
            raise InvalidInput(
                f"got a vocabulary of {len(tags)} tags; give 1 to {MOST_TAGS} of 1 to {LONGEST_TAG} characters"
            )
        if not 1 <= len(self.prompts) <= MOST_PROMPTS or not all(PLACE in prompt for prompt in self.prompts):
            raise InvalidInput(f"a prompt takes the tag in at {PLACE!r}, as 'a drawing of {PLACE}'; give 1 to 100")
        object.__setattr__(self, "tags", tags)
        object.__setattr__(self, "prompts", tuple(self.prompts))

    @staticmethod
    def read(path: Path, prompts: tuple[str, ...] = PROMPTS) -> Vocabulary:
        """A vocabulary from a file of one tag a line; raises InvalidInput."""
        try:
            if path.stat().st_size > LARGEST_FILE_BYTES:
                raise InvalidInput(f"{path} is no list of tags: it is larger than {LARGEST_FILE_BYTES >> 20} MiB")
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"cannot read {path} as text; give a UTF-8 file with one tag a line") from error
        return Vocabulary(tuple(line for line in map(str.strip, lines) if line and line[0] != "#"), prompts)
