"""What a DICOM object is made of here: elements with their bytes as they came, sequences as items of the same.

For the device only. Holds what the object holds; prints nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

Items = tuple[dict[int, "Element"], ...]

SHORT_VRS = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM"}
    | {"UI", "UL", "US"}
)
"""Value representations with a 16-bit length in explicit VR (PS3.5 section 7.1.2)."""
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""Those with two reserved bytes and a 32-bit length."""

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})


@dataclass(frozen=True, slots=True, repr=False)
class Element:
    """One data element: a tag, its VR, and either bytes or items."""

    tag: int
    vr: str
    value: bytes = b""
    items: Items | None = None
    """The items of a sequence; None for everything else."""
    encapsulated: bool = False
    """Whether ``value`` is a run of pixel fragments, item headers included, without the closing delimiter."""


DataSet = dict[int, Element]


@dataclass(frozen=True, slots=True, repr=False)
class Part10:
    """A parsed file: the file meta information, the data set and how the data set was encoded."""

    meta: DataSet
    dataset: DataSet
    transfer_syntax: str

    @property
    def implicit(self) -> bool:
        """Whether elements carry no VR."""
        return self.transfer_syntax == IMPLICIT_LITTLE

    @property
    def big_endian(self) -> bool:
        """Whether numbers stand with their most significant byte first."""
        return self.transfer_syntax == EXPLICIT_BIG
