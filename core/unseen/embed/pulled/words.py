"""Words as a pulled model wants them: token numbers and which of them count.

For the device only. Holds what a person typed, as long as one call lasts.

The tokenizer's file is JSON or a list of words that the `tokenizers` library reads: data, no code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError, InvalidInput

Int64Matrix = npt.NDArray[np.int64]

LARGEST_QUERY_CHARACTERS = 4096
"""More than any query says; keeps the tokenizer from chewing on a pasted book."""
JSON_FILE, VOCABULARY_FILE = "tokenizer.json", "vocab.txt"


@dataclass(frozen=True)
class WordInput:
    """How words become numbers."""

    tokenizer: str
    """File of the model: tokenizer.json, or vocab.txt with the pieces of a BERT, one a line."""
    longest_tokens: int
    """What is longer is cut, as upstream cuts it."""
    filled: bool
    """Whether short words are filled up to ``longest_tokens``: a SigLIP was taught so and is wrong without."""
    filler_id: int
    filler_token: str
    filled_left: bool
    lower_case: bool
    prompt: str
    """What stands before the words, for models that were taught with one ("query: ")."""


def check_words(words: str) -> None:
    """Raise InvalidInput for words that are empty or very long."""
    if not words.strip():
        raise InvalidInput("got empty words, expected something to look for")
    if len(words) > LARGEST_QUERY_CHARACTERS:
        raise InvalidInput(
            f"got {len(words)} characters of words, expected at most {LARGEST_QUERY_CHARACTERS}; shorten the query"
        )


class Tokens:
    """The tokenizer of a model, opened from bytes. Safe to call from several threads."""

    def __init__(self, how: WordInput, file: bytes) -> None:
        """file: the bytes of ``how.tokenizer``, checked already; IntegrityError when they are no tokenizer."""
        from tokenizers import BertWordPieceTokenizer, Tokenizer

        self._how = how
        try:
            if how.tokenizer == VOCABULARY_FILE:
                pieces = file.decode().splitlines()
                bert = BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)})
                self._tokenizer = Tokenizer.from_str(bert.to_str())
            else:
                self._tokenizer = Tokenizer.from_buffer(file)
        except Exception as error:
            raise IntegrityError("got a tokenizer file that cannot be read; pull the model again") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(how.longest_tokens)
        if how.filled:
            self._tokenizer.enable_padding(
                direction="left" if how.filled_left else "right",
                pad_id=how.filler_id,
                pad_token=how.filler_token,
                length=how.longest_tokens,
            )

    def of(self, words: str) -> tuple[Int64Matrix, Int64Matrix]:
        """Return token numbers and mask, int64 (1, n) each; InvalidInput for words that are empty or very long."""
        check_words(words)
        asked = self._how.prompt + words
        encoding = self._tokenizer.encode(asked.lower() if self._how.lower_case else asked)
        return np.array([encoding.ids], np.int64), np.array([encoding.attention_mask], np.int64)
