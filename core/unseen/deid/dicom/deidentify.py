"""A DICOM object in, the same picture in a valid file without identifiers out, or ImageRefused (PS3.15 Annex E).

    parse within bounds -> refuse what cannot be done -> every attribute -> record what was done -> write anew

For the device only. The site key links outputs with each other and lets its holder test guesses: it stays with the
originals. What is drawn into the pixels is not touched here; see ``cleaned.pixels_cleaned``.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterable
from typing import Final

from pydicom.config import IGNORE
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.element import EXPLICIT_LITTLE, DataSet, Element
from unseen.deid.dicom.options import EDITION, Option, check_options
from unseen.deid.dicom.placing import placement_of
from unseen.deid.dicom.pseudonym import Pseudonyms
from unseen.deid.dicom.read import read_part10
from unseen.deid.dicom.refuse import refuse_what_cannot_be_done
from unseen.deid.dicom.report import DeidentifiedDicom, DicomReport
from unseen.deid.dicom.risk import may_show_faces, reasons_to_look
from unseen.deid.dicom.table import methods
from unseen.deid.dicom.walk import Walk, identity_of
from unseen.deid.dicom.write import write_part10
from unseen.errors import ImageRefused

METHOD: Final = f"Unseen; DICOM PS3.15 {EDITION} Table E.1-1"
NO_OPTIONS: Final[frozenset[Option]] = frozenset()
_WRITE_ERRORS: Final = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    NotImplementedError,
    RecursionError,
    struct.error,
)


def deidentify(
    dataset_or_bytes: Dataset | bytes, *, site_key: bytes, options: frozenset[Option] = NO_OPTIONS
) -> DeidentifiedDicom:
    """Apply the Basic Application Level Confidentiality Profile with options to one object.

    Args:
        dataset_or_bytes: a whole Part 10 file, or a pydicom data set, which is not changed.
        site_key: at least 32 secret bytes; equal keys give equal UIDs, patient ids and date shifts.
        options: what may stay beside the profile, see ``Option``.

    Returns:
        A whole Part 10 file in the input's transfer syntax (a deflated one in Explicit VR Little Endian), and a report.

    Raises:
        ImageRefused: the object does not parse within bounds, is of a kind that cannot be cleaned here,
            or does not fit the memory.
        InvalidConfiguration: a short key, or options that contradict each other.
    """
    check_options(options)
    pseudonyms = Pseudonyms(site_key)
    try:
        return _deidentified(dataset_or_bytes, pseudonyms, options)
    except MemoryError:
        raise ImageRefused("the object does not fit the memory; raise the limit, or split the object") from None


def _deidentified(
    dataset_or_bytes: Dataset | bytes, pseudonyms: Pseudonyms, options: frozenset[Option]
) -> DeidentifiedDicom:
    """The steps in their order."""
    data = dataset_or_bytes if isinstance(dataset_or_bytes, bytes) else _as_bytes(dataset_or_bytes)
    source = read_part10(data)
    sop_class = refuse_what_cannot_be_done(source.dataset, options)
    walk = Walk(pseudonyms, options, source.dataset, source.transfer_syntax)
    result = walk.run()
    result.update(_record(options))
    instance = result[tag_of("SOPInstanceUID")].value
    written = write_part10(result, source.transfer_syntax, sop_class.encode(), instance)
    burned_in = result.get(tag_of("BurnedInAnnotation"))
    report = DicomReport(
        edition=EDITION,
        options=tuple(sorted(option.value for option in options)),
        sop_class=sop_class,
        transfer_syntax=source.transfer_syntax,
        actions=dict(sorted(walk.counts.items())),
        pixel_comments_blanked=walk.pixels.comments_blanked if walk.pixels else 0,
        trailing_pixel_bytes_removed=walk.pixels.trailing_bytes if walk.pixels else 0,
        burned_in_annotation=burned_in.value.strip(b" \0").decode("ascii") if burned_in else "",
        has_pixels=tag_of("PixelData") in result,
        reasons_to_look=reasons_to_look(source.dataset),
        may_show_faces=may_show_faces(source.dataset),
    )
    placement = placement_of(source.dataset, result, pseudonyms.patient(identity_of(source.dataset)))
    return DeidentifiedDicom(written, report, placement)


def _as_bytes(dataset: Dataset) -> bytes:
    """A pydicom data set as a file, so that there is one way in; the data set itself is left as it is."""
    copy = Dataset()
    copy.update(dataset)
    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID", None) if meta is not None else None
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = UID(str(syntax or EXPLICIT_LITTLE), IGNORE)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            copy.save_as(buffer, enforce_file_format=True)
    except _WRITE_ERRORS as error:
        # Without its cause: pydicom's messages quote the element.
        reason = f"the data set cannot be written as a file ({type(error).__name__}); read it from one"
        raise ImageRefused(reason) from None
    return buffer.getvalue()


def _record(options: frozenset[Option]) -> DataSet:
    """What the standard wants said about the de-identification (PS3.15 section E.1.1, PS3.3 section C.12.1.1.5)."""
    full, modified = Option.RETAIN_LONGITUDINAL_FULL_DATES, Option.RETAIN_LONGITUDINAL_MODIFIED_DATES
    dates = b"UNMODIFIED" if full in options else b"MODIFIED" if modified in options else b"REMOVED"
    elements = [
        Element(tag_of("PatientIdentityRemoved"), "CS", b"YES"),
        Element(tag_of("DeidentificationMethod"), "LO", METHOD.encode()),
        method_codes(["basic", *sorted(option.value for option in options)]),
        Element(tag_of("LongitudinalTemporalInformationModified"), "CS", dates),
    ]
    return {element.tag: element for element in elements}


def method_codes(names: Iterable[str]) -> Element:
    """The De-identification Method Code Sequence for some rows of ``data/methods.tsv``."""
    value, scheme, meaning = tag_of("CodeValue"), tag_of("CodingSchemeDesignator"), tag_of("CodeMeaning")
    items = tuple(
        {
            value: Element(value, "SH", methods()[name].code.encode()),
            scheme: Element(scheme, "SH", b"DCM"),
            meaning: Element(meaning, "LO", methods()[name].meaning.encode()),
        }
        for name in names
    )
    return Element(tag_of("DeidentificationMethodCodeSequence"), "SQ", items=items)
