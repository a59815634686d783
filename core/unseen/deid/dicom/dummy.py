"""Values that say nothing and are valid for their VR (action D of Table E.1-1a).

ASCII, so right in every character set. Holds nothing of any object.
"""

from __future__ import annotations

from typing import Final

from unseen.deid.dicom.element import Element, Items

WORD: Final = b"REMOVED"
UNKNOWN_CODE: Final = (("00080100", "SH", b"REMOVED"), ("00080102", "SH", b"99UNSEEN"), ("00080104", "LO", WORD))

_VALUES: Final = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), WORD),
    **dict.fromkeys(("DS", "IS"), b"0"),
    **dict.fromkeys(("SS", "US", "OB", "OW", "UN"), bytes(2)),
    **dict.fromkeys(("FL", "SL", "UL", "AT", "OF", "OL"), bytes(4)),
    **dict.fromkeys(("FD", "SV", "UV", "OD", "OV"), bytes(8)),
    "AS": b"000Y",
    "DA": b"19000101",
    "DT": b"19000101000000",
    "TM": b"000000",
    "UR": b"urn:removed",
}


def dummy(tag: int, vr: str, is_code: bool) -> Element:
    """A valueless element of one VR: one unknown code in a code sequence, no item in any other sequence."""
    if vr == "SQ":
        return Element(tag, vr, items=_unknown_code() if is_code else ())
    return Element(tag, vr, _VALUES.get(vr, b""))


def _unknown_code() -> Items:
    return ({int(tag, 16): Element(int(tag, 16), vr, value) for tag, vr, value in UNKNOWN_CODE},)
