"""Pictures of objects through the real children: any encoding, only the region, and nothing that was painted."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from bench.fuzz.targets.children import Pipe
from tests.client.deid.test_dicom_file import FOLDER, lettering
from tests.client.dicom.objects import InMemory, as_file, as_jpeg_2000, clip, shape, slice_of, with_region
from unseen.deid.dicom.options import Option
from unseen.embed.dicom_model import BACKGROUND
from unseen.errors import ImageRefused, InvalidConfiguration
from unseen_client.deid.dicom_settings import DicomSettings, LookForText
from unseen_client.dicom import views as views_of_frames
from unseen_client.dicom import views_child
from unseen_client.dicom.prepare import DicomPreparer, centre_of
from unseen_client.dicom.views import Views, made_small, received, without_border
from unseen_client.prepare import Preparer

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def views() -> Iterator[Views]:
    running = Views(1)
    yield running
    running.close()


@pytest.fixture(scope="module")
def preparer() -> Iterator[DicomPreparer]:
    with Preparer() as model:
        running = DicomPreparer(model, DicomSettings(site_key=KEY), workers=1)
        yield running
        running.close()


def test_the_way_the_pixels_are_compressed_changes_nothing(views: Views) -> None:
    source = slice_of(1, pixels=shape(1).clip(0))
    shown, whole = views.pictures(as_file(source), (0,), None)[0].looks
    jpeg_2000 = as_jpeg_2000(source)
    source.compress(RLELossless, generate_instance_uid=False)
    for other in (jpeg_2000, as_file(source)):
        same_shown, same_whole = views.pictures(other, (0,), None)[0].looks
        np.testing.assert_array_equal(same_shown, shown)
        np.testing.assert_array_equal(same_whole, whole)
    assert shown.max() == whole.max() == 255


def test_wanted_frames_come_in_their_order_and_one_that_is_not_there_is_refused(views: Views) -> None:
    frames = np.stack([np.full((20, 30), value, np.uint8) for value in (40, 120, 200)])
    frames[:, 5, 5] = 255
    shown = views.pictures(as_file(clip(2, frames)), (2, 0), None)
    assert [int(one[9, 9, 0]) for one in (frame.looks[0] for frame in shown)] == [200, 40]
    with pytest.raises(ImageRefused, match="do not decode"):
        views.pictures(as_file(clip(2, frames)), (0, 3), None)


def test_a_radiograph_of_twenty_megapixels_fits_the_memory_of_the_child(views: Views) -> None:
    source = clip(6, np.zeros((2, 2), np.uint8))
    source.Rows, source.Columns, source.BitsAllocated, source.BitsStored, source.HighBit = 5000, 4000, 16, 14, 13
    source.WindowCenter, source.WindowWidth = 3000, 6000
    ramp = np.linspace(0, 12000, 4000).astype(np.uint16)
    source.PixelData = np.broadcast_to(ramp, (5000, 4000)).tobytes()
    source["PixelData"].VR = "OW"
    (frame,) = views.pictures(as_file(source), (0,), None)
    assert len(frame.looks) == 2
    assert max(frame.shown.shape) == 1280


def test_only_the_region_of_an_ultrasound_is_shown(views: Views) -> None:
    picture = np.full((60, 80), 250, np.uint8)
    picture[10:40, 20:70] = 90
    source = clip(3, picture)
    with_region(source, 20, 10, 44, 39)
    with_region(source, 45, 10, 69, 39)
    with_region(source, 0, 50, 79, 59, form=3)  # a spectrum
    (shown,) = views.pictures(as_file(source), (0,), None)[0].looks
    assert shown.shape == (30, 50, 3)
    assert (shown == 90).all()
    nonsense = clip(3, picture)
    with_region(nonsense, 50, 30, 52, 31)
    with_region(nonsense, 5000, 10, 6000, 39)
    assert views.pictures(as_file(nonsense), (0,), None)[0].shown.shape == (60, 80, 3)


def test_what_is_masked_is_black_for_people_and_its_surroundings_for_the_model(views: Views) -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[3:6, 4:9] = True
    (frame,) = views.pictures(as_file(clip(4, np.full((20, 30), 200, np.uint8))), (0,), mask)
    np.testing.assert_array_equal(frame.shown[..., 0] == 0, mask)
    assert (frame.looks[0] == 200).all()  # the colours around it, not what was there nor a black box


@pytest.mark.parametrize("shape", [(3000, 1700), (1281, 7), (5, 2600)])
def test_whatever_is_painted_stays_painted_in_a_smaller_picture(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(3).random(shape) < 0.001
    small = views_of_frames._mask_made_small(mask)
    assert max(small.shape) == 1280
    wanted = np.zeros(small.shape, np.bool_)
    for row, column in zip(*np.nonzero(mask), strict=True):  # every cell that the pixel's square reaches into
        reach = [
            range(at * parts // whole, -(-(at + 1) * parts // whole))
            for at, parts, whole in zip((row, column), small.shape, shape, strict=True)
        ]
        wanted[np.ix_(*reach)] = True
    np.testing.assert_array_equal(small, wanted)


def test_a_frame_that_is_announced_and_does_not_come_costs_its_own_size_and_no_more() -> None:
    sides = 1 << 14, 1 << 15
    head = (
        views_child.REPLY.pack(views_child.REPLY_MAGIC, 0)
        + b"\1"
        + views_child.FRAME.pack(2, 1, *sides, 0, 0, *sides[::-1])
    )
    tracemalloc.start()
    with pytest.raises(EOFError):
        received(Pipe(head), 1, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 513 << 20


def test_burned_in_text_is_in_no_picture(views: Views, preparer: DicomPreparer) -> None:
    speckle = np.random.default_rng(1).integers(20, 60, (192, 320)).astype(np.uint8)
    ink = lettering(192, 320, {(30, 60): "DOE^JANE 4711"}) > 127
    named, nameless = clip(5, np.where(ink, 235, speckle).astype(np.uint8)), clip(5, speckle)
    looked = preparer._pipeline.looked_at(as_file(named), lambda _: (0,))
    assert looked.covered >= 1
    assert looked.mask is not None
    assert looked.mask[ink].all()
    ours, without = (views.pictures(as_file(one), (0,), looked.mask)[0] for one in (named, nameless))
    np.testing.assert_array_equal(ours.shown, without.shown)
    np.testing.assert_array_equal(ours.looks[0], without.looks[0])


def test_settings_that_keep_names_are_refused() -> None:
    with Preparer() as model:
        for wrong in (DicomSettings(options=frozenset({Option.RETAIN_UIDS})), DicomSettings(text=LookForText.NEVER)):
            with pytest.raises(InvalidConfiguration, match="pseudonyms only"):
                DicomPreparer(model, wrong)


def test_the_same_object_at_another_window_is_nearer_than_any_other(preparer: DicomPreparer) -> None:
    def vector(source: pydicom.Dataset, factor: float = 1) -> np.ndarray:
        source.WindowWidth = 1000 * factor
        source.WindowCenter = 700
        return preparer.pictures(InMemory(as_file(source)), lambda _: (0,)).pictures[0].vector

    real = [pydicom.dcmread(FOLDER / name) for name in ("CT_small.dcm", "MR_small.dcm")]
    index = np.stack([vector(source) for source in [*real, *map(slice_of, range(4))]])
    assert np.allclose(np.linalg.norm(index, axis=1), 1, atol=1e-5)
    for at, source in enumerate(real):
        for factor in (0.5, 2):
            assert int((index @ vector(source, factor)).argmax()) == at


def test_empty_borders_are_cut_and_an_empty_picture_stays() -> None:
    picture = np.zeros((50, 60, 3), np.uint8)
    assert without_border(picture).shape == (50, 60, 3)
    picture[:] = BACKGROUND
    picture[10:20, 30:33] = 100
    assert without_border(picture).shape == (10, 3, 3)
    assert made_small(np.zeros((10, 4000, 3), np.uint8)).shape == (3, 1280, 3)
    assert centre_of(np.zeros((100, 40, 3), np.uint8)).shape == (86, 34, 3)
    assert centre_of(np.zeros((1, 1, 3), np.uint8)).shape == (1, 1, 3)


SAID = (
    struct.pack("<4sI", b"NOPE", 0),
    struct.pack("<4sI", b"UVR1", 77),
    struct.pack("<4sI", b"UVR1", 0) + b"\0",
    *(
        struct.pack("<4sI", b"UVR1", 0) + b"\1" + views_child.FRAME.pack(*frame)
        for frame in (
            (1, 1, 0, 4, 0, 0, 4, 0),
            (1, 3, 1 << 31, 1 << 31, 0, 0, 1, 1),
            (1, 3, 4, 4, 2, 0, 2, 4),
            (2, 1, 4, 4, 0, 0, 5, 4),
            (3, 1, 4, 4, 0, 0, 4, 4),
            (1, 2, 4, 4, 0, 0, 4, 4),
        )
    ),
)


@pytest.mark.parametrize("said", SAID)
def test_a_child_that_says_something_else_gets_the_object_refused(said: bytes) -> None:
    with pytest.raises(ImageRefused):
        received(Pipe(said), 1, None)
