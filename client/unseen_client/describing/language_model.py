"""What can be asked in words about a picture, or about words: one interface for every local language model.

For the device only. A model that answers gets the picture with its faces covered, and what it says is bounded and made
one plain line before anybody sees it: it may repeat what stands in a stranger's picture.

    model = open_language_model("http://127.0.0.1:8080/v1", name="llava")     # any OpenAI-compatible server
    model = open_language_model("models/SmolVLM")                             # a folder that transformers saved
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from unseen.errors import InvalidInput, MalformedMessage
from unseen.pixels import Pixels

CAPTION_REQUEST = "Describe this picture in one short sentence. Say what is on it and nothing else."
MOST_CAPTION_TOKENS = 80
MOST_ANSWER_TOKENS = 300
LONGEST_CAPTION = 500
LONGEST_ANSWER = 4000
LONGEST_QUESTION = 2000


class LanguageModel(Protocol):
    """A local model that reads words and, where it can, a picture; safe to be asked from several threads."""

    def reply(self, request: str, picture: Pixels | None, most_tokens: int) -> str:
        """What the model says to a request, about ``picture`` (height, width, 3) if there is one.

        Raises ServerUnavailable, DeadlineExceeded, LimitExceeded, MalformedMessage, InvalidConfiguration.
        """

    def close(self) -> None:
        """Let go of what it holds."""


def open_language_model(
    place: str | os.PathLike[str], *, name: str = "", key: str = "", anywhere: bool = False
) -> LanguageModel:
    """A model at an address on this machine, or in a folder.

    ``name`` and ``key`` are what a server wants to hear. ``anywhere`` lets the address be another machine's, with TLS:
    pictures and words then leave this device. Nothing is sent or loaded yet. Raises InvalidInput.
    """
    if isinstance(place, str) and "://" in place:
        from unseen_client.describing.endpoint import Endpoint

        return Endpoint(place, name, key, anywhere)
    if not Path(place).is_dir():
        raise InvalidInput(f"{place} is no folder; give a folder that transformers saved, or http://127.0.0.1:PORT/v1")
    from unseen_client.describing.vision_language import VisionLanguage

    return VisionLanguage(Path(place))


def caption(model: LanguageModel, covered: Pixels) -> str:
    """One sentence about a picture whose faces are covered."""
    return _plain(model.reply(CAPTION_REQUEST, covered, MOST_CAPTION_TOKENS), LONGEST_CAPTION)


def answer(model: LanguageModel, covered: Pixels, question: str) -> str:
    """What the model says to a question about a picture whose faces are covered; InvalidInput for an odd question."""
    if not 0 < len(question.strip()) <= LONGEST_QUESTION:
        raise InvalidInput(f"got a question of {len(question)} characters; ask in 1 to {LONGEST_QUESTION}")
    return _plain(model.reply(question, covered, MOST_ANSWER_TOKENS), LONGEST_ANSWER)


def _plain(said: str, longest: int) -> str:
    """One line without anything that a terminal would act on; raises MalformedMessage when nothing is left."""
    line = " ".join("".join(one if one.isprintable() else " " for one in said[: 4 * longest]).split())[:longest]
    if not line:
        raise MalformedMessage("the language model said nothing; try again, or take another model")
    return line
