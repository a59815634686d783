"""The parent's side of decoding: it hands over bytes and gets pixels, and never opens a picture itself.

Runs where the images are. Holds a file and its pixels for the length of a call. Leaks nothing.

A picture that crashes, fills or stalls the decoder takes a child process with it, not this one: the child has limits on
memory and time (decode_child.py), and a watchdog here. Children serve many pictures and are replaced after a refusal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from unseen.errors import ImageRefused, InvalidConfiguration
from unseen_client import decode_child as child
from unseen_client.decode_child import Outcome

CHILD_FILE = Path(child.__file__)
PICTURES_PER_CHILD = 500
"""A fresh child now and then, so that whatever a decoder leaves behind does not pile up."""
TIMEOUT_S = 30.0
"""Wall clock for one picture; the child's own limit counts computing time only."""
START_TIMEOUT_S = 60.0
SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 32, 65_535
"""The largest is what the formats can say: whole pictures, as far as LARGEST_PIXELS lets them in."""
PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV")
"""All of the environment that the child sees: enough to find Pillow, no tokens."""

REASONS = {
    Outcome.NO_PICTURE: f"got a file that is no picture of a known kind, expected one of {', '.join(child.FORMATS)}; "
    "convert it first",
    Outcome.TOO_MANY_PIXELS: f"got a picture of more than {child.LARGEST_PIXELS // 1_000_000} million pixels, "
    "expected fewer; make it smaller first",
    Outcome.BROKEN: "got a picture that is broken or cut short, expected a whole one; get the original again",
    Outcome.OUT_OF_MEMORY: f"got a picture that needs more than {child.MEMORY_BYTES >> 20} MiB to decode, "
    "expected less; make it smaller first",
    Outcome.UNREADABLE_ORIENTATION: "got a picture whose orientation cannot be read, expected whole EXIF data or none; "
    "faces are found in upright pictures only, so save it anew without metadata",
    Outcome.UNKNOWN_PIXELS: "got a kind of pixels that has no agreed colours, expected RGB, grey, palette or CMYK; "
    "convert it to RGB first",
}


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright picture."""

    pixels: npt.NDArray[np.uint8]
    """(height, width, 3)"""
    upright: bool
    """Whether the file said which side is up; if not, the picture is as it was stored."""


class Decoder:
    """One child process, started at the first picture. Safe for several threads, which take turns."""

    def __init__(
        self,
        *,
        longest_side_px: int = 1280,
        timeout_s: float = TIMEOUT_S,
        pictures_per_child: int = PICTURES_PER_CHILD,
    ) -> None:
        """longest_side_px: larger pictures are reduced to it."""
        if not SMALLEST_SIDE_PX <= longest_side_px <= LARGEST_SIDE_PX or timeout_s <= 0 or pictures_per_child < 1:
            raise InvalidConfiguration(
                f"got longest_side_px={longest_side_px}, timeout_s={timeout_s}, "
                f"pictures_per_child={pictures_per_child}, expected a side of {SMALLEST_SIDE_PX} to "
                f"{LARGEST_SIDE_PX} px, a time above 0 and at least one picture"
            )
        self._longest_side = longest_side_px
        self._timeout_s = timeout_s
        self._pictures_per_child = pictures_per_child
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def decode(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Return the upright picture in a file's bytes as uint8 (height, width, 3); ImageRefused with the reason."""
        return self.picture(data).pixels

    def picture(self, data: bytes) -> Decoded:
        """Return the upright picture in a file's bytes, and whether the file said so; ImageRefused with the reason.

        First frame of an animation, transparent parts white, metadata gone, longest side at most ``longest_side_px``.
        """
        if len(data) > child.LARGEST_FILE_BYTES:
            raise ImageRefused(
                f"got a file of {len(data)} bytes, expected at most {child.LARGEST_FILE_BYTES}; make it smaller first"
            )
        with self._lock:
            try:
                return self._fresh_child().decode(data, self._longest_side, self._timeout_s)
            except BaseException:
                self._dismiss()
                raise

    def limits(self) -> frozenset[str]:
        """Return which limits the system enforces on the child: all of memory, cpu, files on Linux."""
        with self._lock:
            held = self._fresh_child().limits
        names = {child.LIMIT_MEMORY: "memory", child.LIMIT_CPU: "cpu", child.LIMIT_FILES: "files"}
        return frozenset(name for bit, name in names.items() if held & bit)

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            self._dismiss()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fresh_child(self) -> _Child:
        current = self._child
        # After a fork both processes would talk into the same pipe: the new one starts a child of its own.
        if current is None or current.served >= self._pictures_per_child or current.owner != os.getpid():
            self._dismiss()
            current = self._child = _Child()
        return current

    def _dismiss(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """A running decode_child.py and the two pipes to it."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(CHILD_FILE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.owner = os.getpid()
        self.served = 0
        self.end = weakref.finalize(self, _end, self._process, self.owner)
        try:
            self.limits = self._greeting()
        except BaseException:
            self.end()
            raise

    def decode(self, data: bytes, longest_side: int, timeout_s: float) -> Decoded:
        self.served += 1
        with _Watchdog(self._process, timeout_s) as watchdog:
            try:
                self._send(child.REQUEST.pack(child.REQUEST_MAGIC, longest_side, len(data)), data)
                header = self._receive(child.REPLY.size)
                return self._pixels(header, longest_side)
            except (OSError, EOFError) as error:
                raise ImageRefused(self._cause_of_death(watchdog.bit, timeout_s)) from error

    def _pixels(self, header: bytes, longest_side: int) -> Decoded:
        magic, outcome, width, height, told = child.REPLY.unpack(header)
        if outcome in REASONS:
            raise ImageRefused(REASONS[outcome])
        sides_fit = 0 < width <= longest_side and 0 < height <= longest_side
        if magic != child.REPLY_MAGIC or outcome or not sides_fit or width * height > child.LARGEST_PIXELS:
            raise ImageRefused("the decoder answered out of turn, so the picture stays here; it is likely hostile")
        pixels = np.empty((height, width, 3), np.uint8)
        self._receive_into(pixels.data.cast("B"))
        return Decoded(pixels, told == 1)

    def _greeting(self) -> int:
        with _Watchdog(self._process, START_TIMEOUT_S):
            try:
                magic, limits = child.HELLO.unpack(self._receive(child.HELLO.size))
            except EOFError as error:
                raise InvalidConfiguration(
                    "got a decoder process that does not start, expected one; check with: python -m pip install pillow"
                ) from error
        if magic != child.HELLO_MAGIC:
            raise InvalidConfiguration("got something else than the decoder process, expected it; reinstall Unseen")
        return int(limits)

    def _send(self, *parts: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - for the type checker: both pipes were asked for
        for part in parts:
            pipe.write(part)
        pipe.flush()

    def _receive(self, size: int) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101
        data = pipe.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _receive_into(self, buffer: memoryview) -> None:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101
        at = 0
        while at < len(buffer):
            count = pipe.readinto(buffer[at:])  # type: ignore[attr-defined]  # a BufferedReader: typeshed says IO
            if not count:
                raise EOFError
            at += count

    def _cause_of_death(self, timed_out: bool, timeout_s: float) -> str:
        self._process.kill()
        status = self._process.wait()
        if timed_out:
            return f"got a picture that takes over {timeout_s:g} s to decode, expected less; make it smaller first"
        if hasattr(signal, "SIGXCPU") and status == -signal.SIGXCPU:
            return (
                f"got a picture that takes more than {child.CPU_S_PER_PICTURE} s of computing to decode, "
                "expected less; make it smaller first"
            )
        return "got a picture that broke the decoder, expected a sound one; it may be hostile, so it stays here"


class _Watchdog:
    """Kills the child when a block of code takes too long; ``bit`` says whether it did. Works on every system."""

    def __init__(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self._process = process
        self._timer = threading.Timer(timeout_s, self._bite)
        self._timer.daemon = True
        self.bit = False

    def __enter__(self) -> _Watchdog:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _bite(self) -> None:
        self.bit = True
        self._process.kill()


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """Kill a child, close its pipes, collect its exit status. A forked copy of the parent only closes its pipes."""
    if owner == os.getpid():
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # unsent bytes to a child that is gone
                continue
    if owner == os.getpid():
        process.wait()
