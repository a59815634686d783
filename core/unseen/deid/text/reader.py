"""What a line of text says: PP-OCRv6's recogniser (PaddleOCR, Apache-2.0) through onnxruntime.

For the device only. Reads for two purposes: to tell whether a line is a technical mark that may stay, and whether
something that was painted can still be read. What it read is never reported, logged or kept.

It knows Latin, Greek, Chinese and Japanese letters. Of other scripts it makes letters that look alike: enough to tell
that there is text, useless to tell what it says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image

from unseen.deid.text.finder import FOLDER
from unseen.errors import ImageRefused
from unseen.pixels import Pixels
from unseen.weights import open_session, read_manifest

MODEL_FILE, CHARACTERS_FILE = "text_reader.onnx", "characters.json"
HEIGHT_PX = 48
"""What the network takes: lines are brought to this height."""
LEAST_WIDTH_PX, MOST_WIDTH_PX = 48, 3200


@dataclass(frozen=True)
class Reading:
    """One line as read."""

    text: str = field(repr=False)
    score: float
    """Mean chance of its characters, 0 to 1; 0 when nothing was read."""


class TextReader:
    """Reads upright lines. Opened at the first line; safe for several threads."""

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._manifest = read_manifest(FOLDER)
        self._lock = Lock()

    @property
    def reader_sha256(self) -> str:
        """The hash of the network's file, as pinned."""
        return self._manifest.files[MODEL_FILE].sha256

    def read(self, pixels: Pixels, box: tuple[int, int, int, int]) -> Reading:
        """Return what stands in a box (left, top, right, bottom) of pixels uint8 (height, width, 3); ImageRefused."""
        left, top, right, bottom = box
        line = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
        width = min(max(round(line.width * HEIGHT_PX / line.height), LEAST_WIDTH_PX), MOST_WIDTH_PX)
        seen = np.asarray(line.resize((width, HEIGHT_PX), Image.Resampling.BILINEAR), np.float32) / 127.5 - 1
        return self._decoded(self._run(seen.transpose(2, 0, 1)[None]))

    def close(self) -> None:
        """Let go of the network; a later call reads it again."""
        with self._lock:
            self.__dict__.pop("_network", None)

    @cached_property
    def _network(self) -> ort.InferenceSession:
        return open_session(self._manifest.read(MODEL_FILE), self._threads)

    @cached_property
    def _characters(self) -> list[str]:
        return list(json.loads(self._manifest.read(CHARACTERS_FILE)))

    def _run(self, line: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with self._lock:
            network = self._network
        try:
            chances: npt.NDArray[np.float32] = network.run(["characters"], {"pixels": line})[0][0]
        except Exception as error:  # onnxruntime's errors have no common root; any of them means "not read"
            raise ImageRefused("the text reader failed, so the picture stays here; try a smaller picture") from error
        return chances

    def _decoded(self, chances: npt.NDArray[np.float32]) -> Reading:
        """The best character of each step, repeats and gaps left out (CTC, Graves et al. 2006, best path)."""
        best = chances.argmax(axis=1)
        starts = (best > 0) & np.append(True, best[1:] != best[:-1])
        if not starts.any():
            return Reading("", 0.0)
        text = "".join(self._characters[index - 1] for index in best[starts].tolist())
        return Reading(text, float(chances.max(axis=1)[starts].mean()))
