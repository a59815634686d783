"""The data files: Table E.1-1, what is kept beside it, safe private attributes, what a report is searched for, codes.

The engine holds no tag of its own: what happens to an attribute is read here. Public knowledge only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from unseen.deid.dicom.dictionary import tag_of
from unseen.deid.dicom.options import Option


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of Table E.1-1: its Basic Profile action and what each option makes of it."""

    name: str
    basic: str
    options: dict[Option, str]

    def action(self, options: frozenset[Option]) -> str:
        """The action under some options: K where one keeps, else C where one cleans, else the Basic Profile's."""
        chosen = {self.options[option] for option in options if option in self.options}
        return next((action for action in ("X", "K", "C") if action in chosen), self.basic)


@dataclass(frozen=True, slots=True)
class Retained:
    """One attribute outside the table: the rule its value must pass, and what happens when it does not."""

    keyword: str
    rule: str
    argument: str
    otherwise: str
    needs: Option | None


@dataclass(frozen=True, slots=True)
class Method:
    """One code of the de-identification method code sequence."""

    code: str
    meaning: str


def _rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of a data file as dictionaries; the first line that is no comment names the columns."""
    text = (files("unseen.deid.dicom") / "data" / name).read_text(encoding="ascii")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return (dict(zip(lines[0], line, strict=True)) for line in lines[1:])


def _tag(text: str) -> int:
    return int(text.replace(",", ""), 16)


@cache
def confidentiality_table() -> dict[int, Row]:
    """Table E.1-1 by tag, without its repeating groups and private row, which are rules rather than attributes."""
    table = {}
    for row in _rows("table_e1_1.tsv"):
        if "XX" not in row["tag"] and row["tag"] != "PRIVATE":
            table[_tag(row["tag"])] = Row(row["name"], row["basic"], {o: row[o] for o in Option if row[o]})
    return table


@cache
def retained() -> dict[int, Retained]:
    """What is kept beside the table, by tag."""
    kept = {}
    for row in _rows("retained.tsv"):
        rule, _, argument = row["rule"].partition(" ")
        needs = Option(row["needs"]) if row["needs"] else None
        kept[_tag(row["tag"])] = Retained(row["keyword"], rule, argument, row["otherwise"], needs)
    return kept


@cache
def safe_private() -> dict[tuple[str, int, int], tuple[str, str]]:
    """(creator, group, low byte of the element) -> (VR, largest number) of the private attributes that may stay."""
    return {
        (row["creator"], int(row["group"], 16), int(row["element"], 16)): (row["vr"], row["rule"].partition(" ")[2])
        for row in _rows("safe_private.tsv")
    }


@cache
def identifying() -> dict[int, str]:
    """What kind of identifier an attribute beside names and days holds, by tag: ``numbers`` or ``places``."""
    return {tag_of(row["keyword"]): row["kind"] for row in _rows("identifying.tsv")}


@cache
def methods() -> dict[str, Method]:
    """Codes of CID 7050 by the option's name; ``basic``, ``pixels`` and ``features`` beside the options."""
    return {row["option"]: Method(row["code"], row["meaning"]) for row in _rows("methods.tsv")}
