"""One object, attribute by attribute: Table E.1-1 first, then what is kept beside it, and everything else is removed.

    private group ............ removed, or a number of the safe list
    graphics 50xx, 60xx ...... removed
    in Table E.1-1 ........... X removed  Z emptied  D dummy  U other UID  K kept  C cleaned
    in retained.tsv .......... kept when the value passes its rule
    anything else ............ removed

Combined actions are taken in the way that is valid whatever type the attribute has in its IOD, since none of them lets
the value through: X/Z empties, X/D, Z/D and X/Z/D put a dummy, X/Z/U* goes into the items and replaces their UIDs.
A sequence is emptied rather than filled with dummies where the action allows it.

For the device only. Holds the object for the length of a call.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from unseen.deid.dicom.codes import CODE_VALUE, MEANING, SCHEME, known_code
from unseen.deid.dicom.dictionary import is_registered_uid, keyword, tag_of
from unseen.deid.dicom.dummy import dummy
from unseen.deid.dicom.element import DataSet, Element
from unseen.deid.dicom.luts import is_lookup_table, is_offset_list
from unseen.deid.dicom.options import Option
from unseen.deid.dicom.pixels import CheckedPixels, checked_pixels
from unseen.deid.dicom.pseudonym import Pseudonyms, moved_back
from unseen.deid.dicom.structured import is_clean_item
from unseen.deid.dicom.table import Retained, Row, confidentiality_table, retained, safe_private
from unseen.deid.dicom.values import is_number, is_valid, passing, standard_vr
from unseen.errors import ImageRefused

MOST_VALUE_BYTES: Final = 1 << 20
"""Only pixels and tables are longer; a longer list of numbers would need gigabytes to be looked at."""
DATES: Final = frozenset({"DA", "DT", "TM"})
OLDEST_AGE: Final = b"090Y"
"""Ages above 89 become 90: the few who are older are too few to hide among (45 CFR 164.514(b)(2)(i)(C))."""


class Walk:
    """The de-identification of one object."""

    def __init__(
        self, pseudonyms: Pseudonyms, options: frozenset[Option], dataset: DataSet, transfer_syntax: str
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.pixels: CheckedPixels | None = None
        self._pseudonyms = pseudonyms
        self._options = options
        self._dataset = dataset
        self._syntax = transfer_syntax
        self._order = ">" if transfer_syntax.endswith(".2.2") else "<"
        self._identity = identity_of(dataset)
        self._days = pseudonyms.days_back(self._identity)
        self._table, self._retained = confidentiality_table(), retained()

    def run(self) -> DataSet:
        """The object without its identifiers."""
        return self._items_of(self._dataset, top=True)

    def _items_of(self, dataset: DataSet, top: bool, codes_too: bool = False) -> DataSet:
        """One data set or item. ``codes_too`` keeps coded concepts as they are: in a sequence that an option keeps."""
        result: DataSet = {}
        for tag, element in dataset.items():
            group = tag >> 16
            if len(element.value) > MOST_VALUE_BYTES and not self._is_bulk(tag):
                element = Element(tag, element.vr)
            if group % 2:
                new, done = self._private(element, dataset)
            elif 0x5000 <= group <= 0x50FE or 0x6000 <= group <= 0x60FE:
                new, done = None, "graphics_removed"
            elif row := self._table.get(tag):
                new, done = self._listed(element, row)
            elif kept := self._retained.get(tag):
                new, done = self._beside(element, kept, dataset, top)
            elif codes_too and tag in {CODE_VALUE, SCHEME, MEANING}:
                new, done = element, "kept"
            else:
                new, done = None, "unlisted_removed"
            self.counts[done] += 1
            if new is not None:
                result[tag] = new
        return result

    def _is_bulk(self, tag: int) -> bool:
        kept = self._retained.get(tag)
        return kept is not None and kept.rule in {"pixels", "lut", "offsets"}

    # ---- Table E.1-1 ------------------------------------------------------------------------------------------------

    def _listed(self, element: Element, row: Row) -> tuple[Element | None, str]:
        action = row.action(self._options)
        if action == "K":
            return self._kept(element, row)
        if action == "C":
            return self._cleaned(element, row)
        return self._basic(element, row.basic if action != "X" else "X")

    def _basic(self, element: Element, action: str) -> tuple[Element | None, str]:
        """The Basic Profile's action on one attribute."""
        vr = standard_vr(element)
        if action == "X/Z/U*" and element.items is not None:
            return self._recursed(element), "kept"
        if action == "X":
            return None, "removed"
        if action in {"Z", "X/Z", "X/Z/U*"} or (vr == "SQ" and "Z" in action):
            return Element(element.tag, vr, items=() if vr == "SQ" else None), "emptied"
        if action == "U" or vr == "UI":
            return self._uid(element)
        if not element.value and element.items is None:
            return Element(element.tag, vr), "emptied"
        if element.tag == tag_of("PatientID"):
            return Element(element.tag, "LO", self._pseudonyms.patient(self._identity).encode()), "replaced"
        return dummy(element.tag, vr, keyword(element.tag).endswith("CodeSequence")), "replaced"

    def _uid(self, element: Element) -> tuple[Element, str]:
        """Other UIDs for UIDs; those that the standard assigned stay."""
        uids = element.value.strip(b" \0").decode("latin-1").split("\\")
        new = [uid if not uid or is_registered_uid(uid) else self._pseudonyms.uid(uid) for uid in uids]
        return Element(element.tag, "UI", "\\".join(new).encode()), "uid"

    def _kept(self, element: Element, row: Row) -> tuple[Element | None, str]:
        """What an option keeps, when it has the form of its VR; else what the Basic Profile does."""
        vr = standard_vr(element)
        if element.items is not None:
            return self._recursed(element, codes_too=True), "kept"
        if vr == "SQ" or not is_valid(element) or (vr in DATES and self._moved(element, vr, 0) is None):
            return self._basic(element, row.basic)
        value = OLDEST_AGE if vr == "AS" and element.value[3:] == b"Y" and element.value > OLDEST_AGE else element.value
        return Element(element.tag, vr, value), "kept"

    def _cleaned(self, element: Element, row: Row) -> tuple[Element | None, str]:
        """Dates move, structured content loses its text, anything else is treated as without the option."""
        vr = standard_vr(element)
        wants_dates = row.options.get(Option.RETAIN_LONGITUDINAL_MODIFIED_DATES) == "C"
        if wants_dates and Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in self._options and vr in DATES:
            moved = self._moved(element, vr, self._days)
            return (
                (Element(element.tag, vr, moved), "date_moved")
                if moved is not None
                else self._basic(element, row.basic)
            )
        wants_content = row.options.get(Option.CLEAN_STRUCTURED_CONTENT) == "C"
        if wants_content and Option.CLEAN_STRUCTURED_CONTENT in self._options and element.items is not None:
            items = [self._items_of(item, top=False) for item in element.items]
            return Element(element.tag, "SQ", items=tuple(item for item in items if is_clean_item(item))), "kept"
        return self._basic(element, row.basic)

    def _moved(self, element: Element, vr: str, days: int) -> bytes | None:
        values = [
            moved_back(text, vr, days) if text.strip(" \0") else ""
            for text in element.value.decode("ascii", "replace").split("\\")
        ]
        return "\\".join(value for value in values if value is not None).encode() if None not in values else None

    def _recursed(self, element: Element, codes_too: bool = False) -> Element:
        items = tuple(self._items_of(item, top=False, codes_too=codes_too) for item in element.items or ())
        return Element(element.tag, "SQ", items=items)

    # ---- what is kept beside the table ------------------------------------------------------------------------------

    def _beside(self, element: Element, kept: Retained, dataset: DataSet, top: bool) -> tuple[Element | None, str]:
        if kept.needs is not None and kept.needs not in self._options:
            return None, "removed"
        new = self._passing(element, kept, dataset, top)
        if new is not None:
            return new, "kept"
        if kept.otherwise == "refuse" and top:
            raise ImageRefused(
                f"{kept.keyword} holds a value that the standard does not know; nothing can be done without it"
            )
        vr = standard_vr(element)
        if kept.otherwise == "Z":
            return Element(element.tag, vr, items=() if vr == "SQ" else None), "emptied"
        if kept.otherwise.startswith("D:"):
            return Element(element.tag, vr, kept.otherwise[2:].encode()), "replaced"
        return None, "removed"

    def _passing(self, element: Element, kept: Retained, dataset: DataSet, top: bool) -> Element | None:
        """The element to write when it passes its rule."""
        if kept.rule in {"sequence", "codes"}:
            if element.items is None:
                return None
            if kept.rule == "sequence":
                return self._recursed(element)
            known = tuple(item for item in map(known_code, element.items) if item is not None)
            return Element(element.tag, "SQ", items=known) if known else None
        if element.items is not None:
            return None
        if kept.rule == "pixels":
            if not top or (element.tag != tag_of("PixelData") and tag_of("PixelData") in dataset):
                return None
            self.pixels = checked_pixels(element, self._dataset, self._syntax)
            return self.pixels.element
        if kept.rule == "lut":
            return element if is_lookup_table(element, dataset, self._dataset, self._order) else None
        if kept.rule == "offsets":
            return element if top and is_offset_list(element, self._dataset) else None
        value = passing(element, kept.rule, kept.argument, kept.otherwise, self._order)
        return None if value is None else Element(element.tag, standard_vr(element), value)

    # ---- private attributes -----------------------------------------------------------------------------------------

    def _private(self, element: Element, dataset: DataSet) -> tuple[Element | None, str]:
        """A number that the standard lists as safe, with the creator that reserved its block; nothing else."""
        if Option.RETAIN_SAFE_PRIVATE not in self._options:
            return None, "private_removed"
        group, number = element.tag >> 16, element.tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            name = _text(element)
            if (name, group) not in {(creator, listed) for creator, listed, _ in safe_private()}:
                return None, "private_removed"
            blocks = [tag for tag in dataset if tag >> 16 == group and (tag & 0xFFFF) >> 8 == number]
            keeps = any(self._safe(dataset[tag], name) is not None for tag in blocks)
            return (Element(element.tag, "LO", name.encode()), "private_kept") if keeps else (None, "private_removed")
        creator = dataset.get(group << 16 | number >> 8)
        safe = self._safe(element, _text(creator)) if creator is not None else None
        return (safe, "private_kept") if safe is not None else (None, "private_removed")

    def _safe(self, element: Element, creator: str) -> Element | None:
        entry = safe_private().get((creator, element.tag >> 16, element.tag & 0xFF))
        if entry is None or element.items is not None or element.vr not in {entry[0], "UN"}:
            return None
        if element.vr == "UN" and self._order == ">":
            return None
        passes = is_number(element.value, entry[0], float(entry[1]), self._order)
        return Element(element.tag, entry[0], element.value) if passes else None


def _text(element: Element) -> str:
    return element.value.strip(b" \0").decode("ascii", "replace")


def identity_of(dataset: DataSet) -> bytes:
    """Whose object this is: patient id and issuer, or the study where there is no patient id."""

    def value(name: str) -> bytes:
        element = dataset.get(tag_of(name))
        return element.value.strip(b" \0") if element else b""

    if value("PatientID"):
        return b"patient\0" + value("PatientID") + b"\0" + value("IssuerOfPatientID")
    return b"study\0" + (value("StudyInstanceUID") or value("SOPInstanceUID"))
