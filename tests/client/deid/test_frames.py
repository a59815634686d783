"""Frames of an object between two processes: as many as it says, each under its own number, none in the next reply."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless

from tests.client.dicom.objects import as_file, clip
from unseen.errors import ImageRefused
from unseen_client.deid.frames import Frames
from unseen_client.dicom.views import Views

BRIGHTNESS = (40, 120, 200)


@pytest.fixture(scope="module")
def frames() -> Iterator[Frames]:
    running = Frames(1)
    yield running
    running.close()


def compressed() -> pydicom.Dataset:
    stored = np.stack([np.full((20, 30), value, np.uint8) for value in BRIGHTNESS])
    stored[:, 0, 0] = 255  # so that 8 bits are a picture as they are
    source = clip(2, stored)
    source.compress(RLELossless, generate_instance_uid=False)
    return source


def brightness(stored: np.ndarray) -> list[int]:
    return stored[:, 5, 5].tolist()


def test_an_object_with_more_frames_than_it_says_is_refused_and_the_next_one_gets_its_own(frames: Frames) -> None:
    source = compressed()
    source.NumberOfFrames = 2
    other = as_file(clip(3, np.full((20, 30), 77, np.uint8)))
    for _ in range(2):
        with pytest.raises(ImageRefused, match="do not decode"):
            frames.decode(as_file(source))
        assert brightness(frames.decode(other).stored) == [77]


def test_only_the_wanted_frames_come_in_their_order(frames: Frames) -> None:
    assert brightness(frames.decode(as_file(compressed())).stored) == list(BRIGHTNESS)
    assert brightness(frames.decode(as_file(compressed()), (2, 0)).stored) == [200, 40]
    with pytest.raises(ImageRefused, match="do not decode"):
        frames.decode(as_file(compressed()), (0, 3))


def test_frames_that_are_looked_at_are_those_that_are_shown_whatever_the_objects_table_says(frames: Frames) -> None:
    source = compressed()
    pixels = bytearray(encapsulate(list(generate_frames(source.PixelData, number_of_frames=3)), has_bot=True))
    first, second, third = struct.unpack_from("<3I", pixels, 8)
    struct.pack_into("<3I", pixels, 8, second, first, third)
    source.PixelData = bytes(pixels)
    data, views = as_file(source), Views(1)
    looked_at = brightness(frames.decode(data, (0, 1)).stored)
    shown = [int(one.shown[5, 5, 0]) for one in views.pictures(data, (0, 1), None)]
    views.close()
    assert looked_at == shown == [120, 40]
