"""After the picture itself was cleaned: say so, and put the clean pixels in place of the old ones.

Only whoever covered and re-read the text in the pixels may call this. Nothing else in the project sets
BurnedInAnnotation to NO. For the device only.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Final

from unseen.deid.dicom.deidentify import method_codes
from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import EXPLICIT_LITTLE, IMPLICIT_LITTLE, DataSet, Element
from unseen.deid.dicom.pixels import expected_bytes
from unseen.deid.dicom.read import read_part10
from unseen.deid.dicom.report import DeidentifiedDicom
from unseen.deid.dicom.write import write_part10
from unseen.errors import ImageRefused

COMPRESSED_ONLY: Final = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def pixels_cleaned(
    deidentified: DeidentifiedDicom,
    *,
    pixels: bytes | None = None,
    photometric: str | None = None,
    faces_covered: bool = False,
) -> DeidentifiedDicom:
    """Record that no identifier is drawn into the pixels any more.

    Args:
        deidentified: what ``deidentify`` returned.
        pixels: the clean pixels, native, little endian, colour by pixel; None when the old ones were found clean.
        photometric: RGB or MONOCHROME2, where decoding changed what the object said.
        faces_covered: recognizable features were covered too (code 113102).

    Returns:
        The file with BurnedInAnnotation NO and code 113101, uncompressed when pixels were given.

    Raises:
        ImageRefused: the object has no pixels, or the given ones do not have its size.
    """
    source = read_part10(deidentified.data)
    dataset = dict(source.dataset)
    if tag_of("PixelData") not in dataset:
        raise ImageRefused("the object has no pixels that could be clean")
    syntax = source.transfer_syntax
    if pixels is not None:
        if source.big_endian:
            raise ImageRefused(
                "the object is big endian; convert it to Explicit VR Little Endian, then clean its pixels"
            )
        _put(dataset, pixels, photometric)
        syntax = IMPLICIT_LITTLE if source.implicit else EXPLICIT_LITTLE
    dataset[tag_of("BurnedInAnnotation")] = Element(tag_of("BurnedInAnnotation"), "CS", b"NO")
    if faces_covered:
        dataset[tag_of("RecognizableVisualFeatures")] = Element(tag_of("RecognizableVisualFeatures"), "CS", b"NO")
    names = ["basic", "pixels", *(["features"] if faces_covered else []), *deidentified.report.options]
    methods = method_codes(names)
    dataset[methods.tag] = methods
    sop_class, instance = (dataset[tag_of(name)].value for name in ("SOPClassUID", "SOPInstanceUID"))
    report = replace(deidentified.report, transfer_syntax=syntax, burned_in_annotation="NO", pixels_cleaned=True)
    written = write_part10(dataset, syntax, sop_class, instance)
    return DeidentifiedDicom(written, report, deidentified.placement)


def _put(dataset: DataSet, pixels: bytes, photometric: str | None) -> None:
    """Replace the pixels, and what says how they are stored."""
    if photometric is not None:
        dataset[tag_of("PhotometricInterpretation")] = Element(
            tag_of("PhotometricInterpretation"), "CS", photometric.encode()
        )
    samples = dataset.get(tag_of("SamplesPerPixel"))
    if samples is not None and samples.value[:2] != b"\1\0":
        dataset[tag_of("PlanarConfiguration")] = Element(tag_of("PlanarConfiguration"), "US", struct.pack("<H", 0))
    for name in COMPRESSED_ONLY:
        dataset.pop(tag_of(name), None)
    size = expected_bytes(dataset, "<")
    if len(pixels) != size:
        raise ImageRefused(f"got {len(pixels)} bytes of clean pixels, expected {size}")
    bits = int.from_bytes(dataset[tag_of("BitsAllocated")].value[:2], "little")
    dataset[tag_of("PixelData")] = Element(tag_of("PixelData"), "OW" if bits > 8 else "OB", pixels)
