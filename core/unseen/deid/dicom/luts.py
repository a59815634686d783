"""Tables of binary words that must be what another attribute says they are: look-up tables and frame offsets.

For the device only.
"""

from __future__ import annotations

from typing import Final

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet, Element
from unseen.deid.dicom.pixels import frame_count
from unseen.deid.dicom.values import binary_numbers, has_standard_vr

_COLOURS: Final = ("Red", "Green", "Blue", "Alpha")
DESCRIPTORS: Final = {
    "LUTData": "LUTDescriptor",
    **{f"{colour}PaletteColorLookupTableData": f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS},
}


def is_lookup_table(element: Element, siblings: DataSet, dataset: DataSet, order: str) -> bool:
    """Whether a look-up table has the length that its descriptor states (PS3.3 sections C.7.6.3.1.5 and C.11.1.1).

    A segmented palette states no length: it stays only in a picture that has no colours without it.
    """
    descriptors = {tag_of(data): tag_of(descriptor) for data, descriptor in DESCRIPTORS.items()}
    if not has_standard_vr(element, order):
        return False
    if element.tag not in descriptors:
        photometric = dataset.get(tag_of("PhotometricInterpretation"))
        return photometric is not None and photometric.value.strip(b" \0") == b"PALETTE COLOR"
    descriptor = siblings.get(descriptors[element.tag])
    stated = binary_numbers(descriptor.value, "US", order) if descriptor else None
    if not stated or len(stated) != 3:
        return False
    entries = int(stated[0]) or 65536
    return len(element.value) in {2 * entries, entries + entries % 2}


def is_offset_list(element: Element, dataset: DataSet) -> bool:
    """Whether an extended offset table, or its lengths, has one plausible number a frame (PS3.5 section A.4)."""
    numbers = binary_numbers(element.value, "OV", "<")
    pixels = dataset.get(tag_of("PixelData"))
    if numbers is None or pixels is None or not pixels.encapsulated or len(numbers) != frame_count(dataset):
        return False
    return all(number < len(pixels.value) for number in numbers)
