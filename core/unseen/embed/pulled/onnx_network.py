"""ONNX files: one network for pictures, one for words unless the model reads none, by onnxruntime alone.

For the device only. Files are opened from the bytes that were hashed and may name no file outside themselves.
Licence and origin: those of whoever exported the files; `unseen models info` shows what was said when they were pulled.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock

import numpy as np
import onnxruntime as ort

from unseen.embed.pulled.network import Float32Array, reads_no
from unseen.embed.pulled.recipe import FIRST, Recipe, file_named, text_of
from unseen.embed.pulled.words import Tokens
from unseen.errors import IntegrityError, InvalidConfiguration
from unseen.weights import Manifest, open_session

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"


class OnnxNetwork:
    """Each half is opened when it is first needed."""

    def __init__(self, recipe: Recipe, manifest: Manifest, threads: int) -> None:
        pooling = recipe.values.get("picture_pooling")
        if pooling not in (None, FIRST):
            raise InvalidConfiguration(
                f"got a model with picture_pooling = {str(pooling)[:40]!r}, expected {FIRST!r} or none; "
                "pull the model again"
            )
        self._takes_first_token = pooling == FIRST
        self._recipe = recipe
        self._manifest = manifest
        self._threads = threads
        self._lock = Lock()

    def picture(self, numbers: Float32Array) -> Float32Array:
        """Return the output that the recipe names, of a prepared picture."""
        with self._lock:
            session = self._picture_session
        found = self._run(session, "picture_output", {session.get_inputs()[0].name: numbers})
        return found[0] if self._takes_first_token else found

    def words(self, words: str) -> Float32Array:
        """Return the output that the recipe names, of words."""
        if self._recipe.words is None:
            raise reads_no("words", self._recipe)
        with self._lock:
            session, tokens = self._words_session, self._tokens
        ids, mask = tokens.of(words)
        known = {IDS: ids, MASK: mask, TYPES: np.zeros_like(ids)}
        wanted = [one.name for one in session.get_inputs()]
        if unknown := sorted(set(wanted) - set(known)):
            raise IntegrityError(f"got a text model that asks for {unknown}, expected {IDS} and {MASK}; export it anew")
        return self._run(session, "words_output", {name: known[name] for name in wanted})

    def _run(self, session: ort.InferenceSession, key: str, inputs: dict[str, object]) -> Float32Array:
        output = text_of(self._recipe, key)
        present = [one.name for one in session.get_outputs()]
        if output not in present:
            raise IntegrityError(f"got a model with outputs {present}, expected {output!r}; pull it again")
        return np.asarray(session.run([output], inputs)[0][0], np.float32)

    @cached_property
    def _picture_session(self) -> ort.InferenceSession:
        return self._session("picture_file")

    @cached_property
    def _words_session(self) -> ort.InferenceSession:
        return self._session("words_file")

    @cached_property
    def _tokens(self) -> Tokens:
        if self._recipe.words is None:
            raise reads_no("words", self._recipe)
        return Tokens(self._recipe.words, self._manifest.read(self._recipe.words.tokenizer))

    def _session(self, key: str) -> ort.InferenceSession:
        return open_session(self._manifest.read(file_named(self._recipe, self._manifest, key)), self._threads)
