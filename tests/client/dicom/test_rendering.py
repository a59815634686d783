"""Numbers to pictures: known answers of the standard's formulas, and pydicom's own functions as the plainer twin."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_windowing

from unseen_client.dicom import rendering
from unseen_client.dicom.rendering import UnknownPixels, padding, rendered


def grey(numbers: np.ndarray, **attributes: object) -> np.ndarray:
    return rendered(numbers, described(numbers, **attributes), 0)[0]


def described(numbers: np.ndarray, **attributes: object) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.BitsAllocated = dataset.BitsStored = 8 * numbers.dtype.itemsize
    dataset.PixelRepresentation = int(numbers.dtype.kind == "i")
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


RAMP = np.arange(-1024, 1024, 8, dtype=np.int16).reshape(16, 16)


def test_a_linear_window_is_that_of_the_standard() -> None:
    shown = grey(RAMP, WindowCenter=40, WindowWidth=400)
    exact = ((RAMP - (40 - 0.5)) / (400 - 1) + 0.5) * 255  # PS3.3 C.11.2.1.2.1, eq. C.11-2 for 0 to 255
    np.testing.assert_array_equal(shown, np.rint(np.clip(exact, 0, 255)))


@given(st.integers(-900, 900), st.integers(200, 1500), st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_windows_agree_with_pydicom(centre: int, width: int, function: str) -> None:
    dataset = described(RAMP, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    theirs = apply_windowing(RAMP, dataset)
    low, high = -(2.0**15), 2.0**15 - 1
    np.testing.assert_allclose(rendered(RAMP, dataset, 0)[0], (theirs - low) / (high - low) * 255, atol=0.51)


def test_the_first_of_several_windows_counts_after_rescaling() -> None:
    many = grey(RAMP, WindowCenter=[100, 5000], WindowWidth=[300, 1], RescaleSlope="2", RescaleIntercept="-50")
    one = grey((2 * RAMP - 50).astype(np.int16), WindowCenter=100, WindowWidth=300)
    np.testing.assert_array_equal(many, one)


def test_a_voi_table_goes_before_a_window() -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 16], [256 * (255 - at) for at in range(256)]
    numbers = np.arange(256, dtype=np.uint8).reshape(16, 16)
    shown = grey(numbers, VOILUTSequence=[table], WindowCenter=10, WindowWidth=4)
    np.testing.assert_allclose(shown, 255 - numbers, atol=1)


def test_small_numbers_are_bright_in_monochrome1() -> None:
    np.testing.assert_array_equal(
        grey(RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=0, WindowWidth=2000),
        255 - grey(RAMP, WindowCenter=0, WindowWidth=2000),
    )


def test_without_a_window_or_with_one_that_shows_nothing_percentiles_do() -> None:
    outlier = RAMP.copy()
    outlier[0, 0] = 32000
    plain = grey(outlier)
    assert (plain.min(), plain.max()) == (0, 255)
    assert plain.std() > 50
    assert int(plain[8, 0]) == pytest.approx(128, abs=4)
    for centre, width in ((20000, 10), (-20000, 10), (0, 0), (0, -5), (float("inf"), 10)):
        np.testing.assert_array_equal(grey(outlier, WindowCenter=centre, WindowWidth=width), plain)


def test_a_picture_with_a_window_comes_as_shown_and_whole_whatever_the_window_is() -> None:
    (plain,) = rendered(RAMP, described(RAMP), 0)
    for centre, width in ((40, 400), (-300, 900)):
        shown, whole = rendered(RAMP, described(RAMP, WindowCenter=centre, WindowWidth=width), 0)
        np.testing.assert_array_equal(whole, plain)
        assert (shown != whole).any()


def test_what_a_mask_hides_is_black_and_changes_nothing_else() -> None:
    mask = np.indices(RAMP.shape)[0] < 4
    written = np.where(mask, np.int16(32000), RAMP)
    for window in ({}, {"WindowCenter": 40, "WindowWidth": 400}):
        for one, other in zip(
            rendered(written, described(RAMP, **window), 0, mask),
            rendered(RAMP, described(RAMP, **window), 0, mask),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
            assert not one[mask].any()
            assert one[~mask].any()


def test_bands_and_samples_of_a_large_frame_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(4).integers(-1000, 3000, (96, 64), np.int16)
    dataset = described(numbers, WindowCenter=500, WindowWidth=2000, PixelPaddingValue=-1000)
    whole = rendered(numbers, dataset, 0)
    monkeypatch.setattr(rendering, "BAND_PIXELS", 7 * 64)
    for one, other in zip(rendered(numbers, dataset, 0), whole, strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(rendering, "MOST_SAMPLED", numbers.size // 4)
    for one, other in zip(rendered(numbers, dataset, 0), whole, strict=True):
        np.testing.assert_allclose(one.astype(int), other, atol=4)


def test_padding_is_black_and_counts_for_no_percentile() -> None:
    padded = np.where(np.indices(RAMP.shape)[0] < 8, np.int16(-2000), RAMP)
    shown = grey(padded, PixelPaddingValue=-2000)
    assert not shown[:8].any()
    assert (shown[8:].min(), shown[8:].max()) == (0, 255)
    assert abs(int(shown[12, 0]) - 128) < 6
    limited = described(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1000)
    np.testing.assert_array_equal(padding(padded, limited), padded <= -1000)


def test_eight_bits_without_a_window_are_a_picture_already_unless_dark() -> None:
    picture = np.random.default_rng(3).integers(20, 200, (32, 32), np.uint8)
    np.testing.assert_array_equal(grey(picture), picture)
    assert grey((picture // 4).astype(np.uint8)).max() == 255


def test_a_frame_of_an_enhanced_object_has_its_own_window() -> None:
    def groups(centre: int, slope: int) -> pydicom.Dataset:
        voi, values, both = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        voi.WindowCenter, voi.WindowWidth = centre, 300
        values.RescaleSlope, values.RescaleIntercept = slope, 0
        both.FrameVOILUTSequence, both.PixelValueTransformationSequence = [voi], [values]
        return both

    dataset = described(RAMP, PerFrameFunctionalGroupsSequence=[groups(100, 1), groups(300, 2)])
    for frame, (centre, slope) in enumerate(((100, 1), (300, 2))):
        alone = grey(RAMP, WindowCenter=centre, WindowWidth=300, RescaleSlope=slope, RescaleIntercept=0)
        np.testing.assert_array_equal(rendered(RAMP, dataset, frame)[0], alone)


def test_colours_and_palettes_come_out_in_eight_bits() -> None:
    wide = np.random.default_rng(1).integers(0, 1 << 12, (8, 8, 3), np.uint16)
    dataset = described(wide, PhotometricInterpretation="RGB", SamplesPerPixel=3, BitsStored=12)
    np.testing.assert_allclose(rendered(wide, dataset, 0)[0], wide / 4095 * 255, atol=0.51)
    table = np.random.default_rng(2).integers(0, 1 << 16, (3, 256), np.uint16)
    numbers = np.random.default_rng(3).integers(0, 256, (8, 8), np.uint8)
    coloured = described(numbers, PhotometricInterpretation="PALETTE COLOR")
    for at, colour in enumerate(("Red", "Green", "Blue")):
        setattr(coloured, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(coloured, f"{colour}PaletteColorLookupTableData", table[at].tobytes())
    np.testing.assert_allclose(rendered(numbers, coloured, 0)[0], table.T[numbers] / 65535 * 255, atol=0.51)


@pytest.mark.parametrize("photometric", ["", "HSV", "CMYK", "RGB"])
def test_pixels_of_unknown_colours_are_refused(photometric: str) -> None:
    with pytest.raises(UnknownPixels):
        rendered(RAMP, described(RAMP, PhotometricInterpretation=photometric), 0)


@pytest.mark.parametrize("slope", ["nan", "inf"])
def test_values_that_are_no_numbers_are_refused(slope: str) -> None:
    for window in ({}, {"WindowCenter": 40, "WindowWidth": 400}):
        with np.errstate(invalid="ignore"), pytest.raises(UnknownPixels):
            rendered(RAMP, described(RAMP, RescaleSlope=float(slope), RescaleIntercept=0, **window), 0)


@given(st.binary(min_size=64, max_size=64), st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4"]))
def test_any_numbers_become_a_picture(data: bytes, kind: str) -> None:
    numbers = np.frombuffer(data, kind).reshape(4, -1)
    (shown,) = rendered(numbers, described(numbers), 0)
    assert shown.dtype == np.uint8
    assert shown.shape == numbers.shape
