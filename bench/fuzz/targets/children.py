"""Answers of the child processes that read hostile files: a file may have taken its child over."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from bench.fuzz.target import Target
from bench.fuzz.targets.records import OBJECTS
from unseen.deid.dicom.deidentify import deidentify
from unseen.errors import ImageRefused
from unseen_client import decode, decode_child
from unseen_client.bring import video, video_child
from unseen_client.child_process import ChildProcess
from unseen_client.deid import attributes, attributes_child, frames, frames_child
from unseen_client.dicom import views, views_child

OBJECT_BYTES = 4096
SITE_KEY = bytes(range(32))
LONGEST_SIDE = 64


class Pipe(ChildProcess):
    """Stands where a child stands: what it says is there already, and then it is gone."""

    def __init__(self, said: bytes) -> None:
        self._said = io.BytesIO(said)

    def receive(self, size: int) -> bytes:
        data = self._said.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def receive_into(self, buffer: memoryview) -> None:
        buffer[:] = self.receive(len(buffer))


def reads(receive: Any) -> Any:
    """A run: a child that says too little is a child that died, which the caller says as ImageRefused."""

    def run(data: bytes) -> None:
        try:
            receive(data)
        except (EOFError, struct.error):
            raise ImageRefused("the child died") from None

    return run


def cleaned(data: bytes) -> None:
    outcome, report, _ = attributes._received(Pipe(data), OBJECT_BYTES)
    if outcome == attributes_child.DONE:
        told, placement = attributes._told(report)
        assert told["options"] is not None
        assert placement.instance
    else:
        assert attributes._printable(report).isprintable()


def framed(data: bytes) -> None:
    assert len(frames._received(Pipe(data)).frame_shape) == 2


def viewed(data: bytes) -> None:
    (frame,) = views.received(Pipe(data), 1, None)
    assert frame.shown.dtype == frame.looks[0].dtype == np.uint8


def pictured(data: bytes) -> None:
    found = decode._received(Pipe(data), LONGEST_SIDE)
    assert max(found.pixels.shape) <= LONGEST_SIDE


def filmed(data: bytes) -> None:
    milliseconds, pixels = video._received(Pipe(data))
    assert milliseconds >= 0
    assert max(pixels.shape) <= video.LONGEST_SIDE_PX


CLEAN = deidentify(OBJECTS[0], site_key=SITE_KEY)
REPORT = attributes_child.told(CLEAN.report, CLEAN.placement)
CLEANED = attributes_child.REPLY.pack(attributes_child.REPLY_MAGIC, 0, len(REPORT), 5) + REPORT + b"clean"
FRAMES = frames_child.REPLY.pack(frames_child.REPLY_MAGIC, 0, 2, 2, 3, 1, 8, b"u1", 0) + 2 * (b"\1" + bytes(6))
FRAMES += frames_child.ALL_SENT
VIEW = (
    views_child.REPLY.pack(views_child.REPLY_MAGIC, 0)
    + b"\1"
    + views_child.FRAME.pack(2, 3, 2, 3, 0, 0, 3, 2)
    + bytes(36)
    + frames_child.ALL_SENT
)
PICTURE = decode_child.REPLY.pack(decode_child.REPLY_MAGIC, 0, 3, 2, 1) + bytes(18)
FRAME = video_child.REPLY.pack(video_child.REPLY_MAGIC, 0, 2500, 3, 2) + bytes(18)

TARGETS = (
    Target("client.deid.attributes.received", reads(cleaned), (ImageRefused,), (CLEANED,)),
    Target("client.deid.attributes.told", attributes._told, (ImageRefused,), (REPORT,), is_json=True),
    Target("client.deid.frames.received", reads(framed), (ImageRefused,), (FRAMES,)),
    Target("client.dicom.views.received", reads(viewed), (ImageRefused,), (VIEW,)),
    Target("client.decode.received", reads(pictured), (ImageRefused,), (PICTURE,)),
    Target("client.bring.video.received", reads(filmed), (ImageRefused,), (FRAME,)),
)
