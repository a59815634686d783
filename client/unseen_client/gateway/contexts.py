"""What the gateway offers to take: storage classes of pictures and structured reports, as far as they are decoded here.

Public knowledge. Anything else is refused while an association is made, so that a sender learns it at once: documents,
waveforms, presentation states, plans; video, JPEG XL.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.uid import EnhancedUSVolumeStorage
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context

from unseen.deid.dicom.dictionary import is_image_class, is_report_class

VERIFICATION = "1.2.840.10008.1.1"
PLAIN_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
)
"""Without compressed pixels."""
TRANSFER_SYNTAXES = (
    *PLAIN_SYNTAXES,
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)


def storage_classes() -> list[str]:
    """UIDs of the storage SOP classes that hold pictures."""
    return [uid for uid in _known_classes() if is_image_class(uid) or uid == EnhancedUSVolumeStorage]


def report_classes() -> list[str]:
    """UIDs of the storage SOP classes of structured reports."""
    return list(filter(is_report_class, _known_classes()))


def _known_classes() -> Iterator[str]:
    classes = (context.abstract_syntax for context in AllStoragePresentationContexts)
    return (str(uid) for uid in classes if uid is not None)


def _contexts() -> list[PresentationContext]:
    of_pictures = [build_context(uid, list(TRANSFER_SYNTAXES)) for uid in storage_classes()]
    of_reports = [build_context(uid, list(PLAIN_SYNTAXES)) for uid in report_classes()]
    return [build_context(VERIFICATION, list(PLAIN_SYNTAXES[:2])), *of_pictures, *of_reports]


CONTEXTS = _contexts()
