"""The data files say what the standard says: held against another transcription and against pydicom's dictionary."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2023, dicomfields_2024b, dicomfields_2026c
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.sr.codedict import Collection

from unseen.deid.dicom.options import EDITION, Option
from unseen.deid.dicom.table import confidentiality_table, methods, retained, safe_private

GROUPS = {
    "D": "D_TAGS",
    "Z": "Z_TAGS",
    "X": "X_TAGS",
    "U": "U_TAGS",
    "Z/D": "Z_D_TAGS",
    "X/Z": "X_Z_TAGS",
    "X/D": "X_D_TAGS",
    "X/Z/D": "X_Z_D_TAGS",
    "X/Z/U*": "X_Z_U_STAR_TAGS",
}
DATES = {"DA", "DT", "TM"}


def theirs(edition: object) -> dict[int, str]:
    """dicom-anonymizer's groups as one table, without its repeating groups (which have four numbers)."""
    return {
        tag[0] << 16 | tag[1]: action
        for action, group in GROUPS.items()
        for tag in getattr(edition, group)
        if len(tag) == 2
    }


def test_the_file_names_its_edition() -> None:
    text = (files("unseen.deid.dicom") / "data/table_e1_1.tsv").read_text()
    assert f"edition {EDITION}." in text.splitlines()[0]


def test_the_basic_profile_is_what_the_other_transcription_of_the_edition_says() -> None:
    assert {tag: row.basic for tag, row in confidentiality_table().items()} == theirs(dicomfields_2026c)


@pytest.mark.parametrize(
    ("edition", "since"),
    [(dicomfields_2023, {"PatientID": ("Z", "Z/D")}), (dicomfields_2024b, {})],
)
def test_older_editions_are_contained_and_differ_in_what_the_standard_changed(
    edition: object, since: dict[str, tuple[str, str]]
) -> None:
    ours = confidentiality_table()
    pairs = {keyword_for_tag(tag): (action, ours[tag].basic) for tag, action in theirs(edition).items()}
    assert {keyword: pair for keyword, pair in pairs.items() if pair[0] != pair[1]} == since


def test_every_action_and_option_is_one_of_the_standard() -> None:
    for row in confidentiality_table().values():
        assert row.basic in GROUPS
        assert set(row.options.values()) <= {"K", "C", "X"}


def test_the_names_are_those_of_the_dictionary() -> None:
    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", re.sub(r"\((trial|see note.*)\)", "", text.lower()).replace("'s", "s"))

    known = {tag: row.name for tag, row in confidentiality_table().items() if dictionary_has_tag(tag)}
    different = {f"{tag:08X}": name for tag, name in known.items() if plain(dictionary_description(tag)) != plain(name)}
    assert len(known) > 600
    assert len(different) <= 25, different


def test_every_date_of_the_table_but_three_is_kept_by_one_date_option_and_moved_by_the_other() -> None:
    table = confidentiality_table()
    dates = {tag for tag in table if dictionary_has_tag(tag) and dictionary_VR(tag) in DATES}
    without = {
        keyword_for_tag(tag)
        for tag in dates
        if table[tag].options.get(Option.RETAIN_LONGITUDINAL_FULL_DATES) != "K"
        or table[tag].options.get(Option.RETAIN_LONGITUDINAL_MODIFIED_DATES) != "C"
    }
    assert without == {"PatientBirthDate", "PatientBirthTime", "GPSTimeStamp"}


def test_every_uid_that_is_replaced_is_kept_by_retain_uids() -> None:
    table = confidentiality_table()
    without = {keyword_for_tag(tag) for tag, row in table.items() if row.basic == "U" and not row.options}
    # A digital signature must not verify any more, and a UID in a content item may be anything.
    assert without == {"DigitalSignatureUID", "UID"}


def test_what_is_kept_beside_the_table_is_in_the_dictionary_and_not_in_the_table() -> None:
    for tag, kept in retained().items():
        assert keyword_for_tag(tag) == kept.keyword
        assert tag not in confidentiality_table()


def test_no_free_text_is_kept_without_an_option() -> None:
    text = {"LO", "SH", "LT", "ST", "UT", "UC", "UR", "PN", "AE"}
    kept = {
        kept.keyword
        for tag, kept in retained().items()
        if dictionary_VR(tag) in text and kept.rule == "text" and not kept.needs
    }
    assert kept == set()


def test_the_safe_private_attributes_are_numbers() -> None:
    assert {vr for vr, _ in safe_private().values()} <= {"DS", "IS", "FL", "FD", "SL", "SS", "UL", "US"}
    assert all(group % 2 for _, group, _ in safe_private())


def test_the_method_codes_are_those_of_the_standards_dictionary() -> None:
    known = {code.value: code.meaning for code in Collection("DCM").concepts.values()}
    assert {method.code: method.meaning for method in methods().values()} == {
        str(code): known[str(code)] for code in range(113100, 113113)
    }
    assert set(Option) <= set(methods())


PAGE = Path(__file__).resolve().parents[4] / "docs/dicom.md"


def test_the_page_states_what_the_files_hold() -> None:
    page = " ".join(PAGE.read_text().split())
    text = (files("unseen.deid.dicom") / "data/table_e1_1.tsv").read_text()
    rows = Counter(line.split("\t")[-1] for line in text.splitlines() if not line.startswith(("#", "tag")))
    assert f"edition 2022 ({rows['2022']} rows) or 2023 ({rows['2023']} rows)" in page
    assert f"{rows['rule']} follow the rule" in page
    assert f"{rows['none']} claim nothing" in page
    assert f"{len(safe_private())} attributes of" in page
    assert f"edition {EDITION}," in page
    for option in Option:
        assert re.search(rf"\| `{option.name}` \| `[a-z_]+` \| {methods()[option].code} \|", page)
