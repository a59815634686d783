"""Whether somebody may have drawn text, or photographed a person, into the pixels of an object.

No header says so with certainty, so the question is asked the other way round: only what a scanner computes, and says
it computed, is passed without a look (PS3.3 sections C.7.6.1.1.2 and C.8.6.1). Everything else is looked at.

For the device only. Gives back words of its own, never a value of the object.
"""

from __future__ import annotations

from typing import Final

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import DataSet

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
COMPUTED_CLASSES: Final = frozenset(
    _STORAGE + number
    for number in (
        *("2", "2.1", "2.2"),  # CT, enhanced CT, legacy converted CT
        *("4", "4.1", "4.4"),  # MR, enhanced MR, legacy converted MR
        *("128", "128.1", "130"),  # PET, legacy converted PET, enhanced PET
        *("481.2", "30", "66.4"),  # RT dose, parametric map, segmentation
    )
)
"""Pixels of these classes are numbers that a reconstruction computed, as long as nothing else in the object denies."""
NEED_NO_IMAGE_TYPE: Final = frozenset({_STORAGE + "481.2"})
COMPUTED_MODALITIES: Final = frozenset({b"CT", b"MR", b"PT", b"RTDOSE", b"SEG"})
SCREEN_WORDS: Final = (b"SECONDARY", b"SCREEN", b"SAVE", b"CAPTURE", b"REPORT", b"PROT", b"DOSE", b"TABLE", b"TEXT")
"""Pieces of image types that scanners give to pictures of their own screens: dose reports, protocols, saved views."""
SECONDARY_CAPTURE: Final = _STORAGE + "7"
PHOTOGRAPHS: Final = frozenset(_STORAGE + number for number in ("77.1.4", "77.1.4.1", "77.1.7"))
"""Visible light photographs and dermoscopy: pictures of people from outside."""
PHOTOGRAPHED: Final = frozenset({b"XC", b"DMS", b"OT", b"GM", b""})


def reasons_to_look(dataset: DataSet) -> tuple[str, ...]:
    """Why the pixels must be looked at for text, in words of our own; empty when they need not be or there are none."""
    if tag_of("PixelData") not in dataset:
        return ()
    sop_class, modality = _text(dataset, "SOPClassUID").decode("ascii", "replace"), _text(dataset, "Modality")
    image_type = _text(dataset, "ImageType").upper()
    reasons = {
        "its class is not one of computed images": sop_class not in COMPUTED_CLASSES,
        "its modality is not one of computed images": modality not in COMPUTED_MODALITIES,
        "it does not say that it is a primary image": sop_class not in NEED_NO_IMAGE_TYPE
        and image_type.split(b"\\", 2)[1:2] != [b"PRIMARY"],
        "its image type names a screen": any(word in image_type for word in SCREEN_WORDS),
        "it was converted from something else": bool(_text(dataset, "ConversionType")),
        "it has colours": _text(dataset, "PhotometricInterpretation") not in {b"MONOCHROME1", b"MONOCHROME2"},
        "it says that text is burned in": _text(dataset, "BurnedInAnnotation") not in {b"", b"NO"},
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def may_show_faces(dataset: DataSet) -> bool:
    """Whether the pixels may be a photograph of a person: one by its class, or a coloured capture of nothing known."""
    sop_class = _text(dataset, "SOPClassUID").decode("ascii", "replace")
    if sop_class in PHOTOGRAPHS or _text(dataset, "Modality") in {b"XC", b"DMS"}:
        return True
    has_colours = _text(dataset, "PhotometricInterpretation") not in {b"MONOCHROME1", b"MONOCHROME2"}
    captured = sop_class == SECONDARY_CAPTURE or sop_class.startswith(SECONDARY_CAPTURE + ".")
    return captured and has_colours and _text(dataset, "Modality") in PHOTOGRAPHED


def _text(dataset: DataSet, name: str) -> bytes:
    element = dataset.get(tag_of(name))
    return element.value.strip(b" \0") if element else b""
