"""Structured reports as words: in reading order, in their character sets, within bounds, without who they are about."""

from __future__ import annotations

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.core.deid.dicom.planting import as_file, base_object
from tests.core.deid.dicom.reports import code, content, measured, nested, report, text, wide
from unseen.deid.dicom import report_text as module
from unseen.deid.dicom.read import read_part10
from unseen.deid.dicom.report_text import report_text
from unseen.deid.dicom.report_words import enrollable, words_beside
from unseen.errors import ImageRefused


def words_of(dataset: Dataset) -> str:
    return report_text(read_part10(as_file(dataset)).dataset)


def cleaned(dataset: Dataset, site_key: bytes) -> str:
    _, words = enrollable(as_file(dataset), site_key=site_key, options=frozenset(), this_year=2026)
    assert words is not None
    return words


def test_content_is_read_from_top_to_bottom_with_what_says_more_of_an_item_below_it() -> None:
    picture = content("IMAGE", "Source", text("seen in this picture", "Comment"))
    dataset = report(
        1,
        content(
            "CONTAINER",
            "Findings",
            text("Nodule", "Finding", measured("12.5", "mm", "Length"), measured("3", "1", "Count")),
            content("CODE", "Where", ConceptCodeSequence=code("39607008", "SCT", "Lung")),
            picture,
        ),
        content("PNAME", "Observer", PersonName="House^Gregory"),
        content("DATE", "Seen on", Date="20240305"),
        content("UIDREF", "Study", UID="1.2.3"),
        text("Two\nlines", "Impression"),
    )
    assert words_of(dataset).splitlines() == [
        "Chest Report",
        "Findings",
        "  Finding: Nodule",
        "    Length: 12.5 mm",
        "    Count: 3",
        "  Where: Lung",
        "  Comment: seen in this picture",
        "Observer: [NAME]",
        "Seen on: [DATE]",
        "Study: [ID]",
        "Impression: Two",
        "lines",
    ]


def test_names_of_tags_and_of_the_content_are_gone_from_the_words(site_key: bytes) -> None:
    dataset = report(
        2,
        content("PNAME", "Observer", PersonName="House^Gregory"),
        text("DOE, Jane (4711-2) was seen by house at Princeton-\nPlainsboro. No nodule."),
        title="Report of Jane",
    )
    dataset.ReferringPhysicianName, dataset.InstitutionName = "Wilson^James", "Princeton Plainsboro"
    dataset.ContentSequence.append(text("James Wilson agrees.", "Note for Gregory"))
    assert cleaned(dataset, site_key).splitlines() == [
        "Report of [NAME]",
        "Observer: [NAME]",
        "Finding: [NAME] ([ID]) was seen by [NAME] at [PLACE]. No nodule.",
        "Note for [NAME]: [NAME] agrees.",
    ]


def test_a_name_is_looked_for_whatever_type_the_file_gives_its_value(site_key: bytes) -> None:
    data = as_file(report(2, text("Jane was here.")))
    tag = b"\x10\x00\x10\x00"
    assert data.count(tag + b"PN") == 1
    for wrong in (b"LO", b"SH", b"CS"):
        _, words = enrollable(
            data.replace(tag + b"PN", tag + wrong), site_key=site_key, options=frozenset(), this_year=2026
        )
        assert words == "Chest Report\nFinding: [NAME] was here."


def test_codes_of_people_and_institutions_are_gone_from_the_words(site_key: bytes) -> None:
    dataset = report(
        2,
        text("Trillian (tm42) of Betelgeuse; lung."),
        content("CODE", "Where", ConceptCodeSequence=code("L77", "SCT", "Lung")),
    )
    person = Dataset()
    person.PersonIdentificationCodeSequence = code("TM42", "99X", "Trillian McMillan")
    person.InstitutionCodeSequence = code("BG", "99X", "Betelgeuse")
    dataset.ReferringPhysicianIdentificationSequence = Sequence([person])
    assert cleaned(dataset, site_key).splitlines()[1:] == ["Finding: [NAME] ([ID]) of [PLACE]; lung.", "Where: Lung"]


@pytest.mark.parametrize(
    ("charset", "name", "said"),
    [
        ("ISO_IR 100", "Äneas^Zoë", "Zoe Aeneas"),
        ("ISO_IR 144", "Люкceмбypг^Роза", "РОЗА"),
        ("GB18030", "王^小东", "王小东先生"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "山田さん"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "길동은"),
    ],
)
def test_a_report_is_read_in_its_character_set(charset: object, name: str, said: str, site_key: bytes) -> None:
    dataset = report(3, text(f"{said} (x)"), patient=name)
    dataset.SpecificCharacterSet = charset
    (line,) = cleaned(dataset, site_key).splitlines()[1:]
    assert "[NAME]" in line
    assert not {letter for letter in line.removeprefix("Finding:").replace("[NAME]", "") if letter > "z"} & {*name}


def test_what_cannot_be_read_or_compared_is_refused(site_key: bytes) -> None:
    wrong = report(4, text("caf\u00e9"))
    wrong.SpecificCharacterSet = "ISO_IR 100"
    data = as_file(wrong).replace(b"ISO_IR 100", b"ISO_IR 192")
    with pytest.raises(ImageRefused, match="character set"):
        enrollable(data, site_key=site_key, options=frozenset(), this_year=2026)
    with pytest.raises(ImageRefused, match="none of the standard"):
        enrollable(data.replace(b"ISO_IR 192", b"ISO_IR 999"), site_key=site_key, options=frozenset(), this_year=2026)
    other = report(4, text("caf\u00e9"))
    with pytest.raises(ImageRefused, match="is in UTF-8"):
        enrollable(
            as_file(other).replace(b"ISO_IR 192", b"ISO_IR 100"), site_key=site_key, options=frozenset(), this_year=2026
        )
    for nobody in ("", "^", "4711", "Anonymous^Patient", "XXXX^XX", "UNKNOWN"):
        with pytest.raises(ImageRefused, match="does not name its patient"):
            cleaned(report(4, text("no nodule"), patient=nobody), site_key)
    removed = report(4, text("no nodule"))
    removed.PatientIdentityRemoved = "YES"
    with pytest.raises(ImageRefused, match="does not name its patient"):
        cleaned(removed, site_key)
    with pytest.raises(ImageRefused, match="says nothing in words"):
        cleaned(report(4, content("IMAGE", "Source")), site_key)
    with pytest.raises(ImageRefused, match="type that is not known"):
        cleaned(report(4, content("SONG", "Source")), site_key)


def test_reports_that_are_too_deep_wide_or_long_are_refused(site_key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.MOST_ITEMS == 20_000
    monkeypatch.setattr(module, "MOST_ITEMS", 200)
    assert cleaned(report(5, nested(10, "no nodule")), site_key).endswith("no nodule")
    with pytest.raises(ImageRefused, match="nested deeper"):
        cleaned(report(5, nested(40, "no nodule")), site_key)
    with pytest.raises(ImageRefused, match="more than"):
        words_of(report(5, *wide(200)))
    assert words_of(report(5, *wide(199)))
    with pytest.raises(ImageRefused, match="more than"):
        words_of(report(5, text("long " * 50_000)))


def test_a_picture_stays_a_picture(site_key: bytes) -> None:
    result, words = enrollable(as_file(base_object("CT")), site_key=site_key, options=frozenset(), this_year=2026)
    assert words is None
    assert result.placement is not None
    assert not result.placement.is_report


def test_a_text_beside_an_object_stands_in_its_study_under_a_pseudonym_of_its_own(site_key: bytes) -> None:
    beside = as_file(report(6, text("any")))
    _, here, words = words_beside(b"Jane Doe, 4711-6: no nodule", beside, site_key=site_key, this_year=2026)
    _, again, _ = words_beside(b"Jane Doe, 4711-6: no nodule", beside, site_key=site_key, this_year=2026)
    _, elsewhere, _ = words_beside(b"\xef\xbb\xbfno nodule", beside, site_key=site_key, this_year=2026)
    assert words == "[NAME], [ID]: no nodule"
    assert here == again != elsewhere
    assert here.is_report
    assert (here.study, here.origin.study) == (elsewhere.study, pydicom.uid.UID("1.2.826.0.1.3680043.10.511.3.6.2"))
    assert here.instance != elsewhere.instance
    for text_file, why in ((b"caf\xe9", "UTF-8"), (b" \n", "empty")):
        with pytest.raises(ImageRefused, match=why):
            words_beside(text_file, beside, site_key=site_key, this_year=2026)


def test_item_character_sets_hold_within_their_items(site_key: bytes) -> None:
    item = text("no nodule")
    item.SpecificCharacterSet = "ISO_IR 100"
    inner = text("caf\u00e9 au lait", "Kind")
    item.ContentSequence = Sequence([inner])
    assert "caf\u00e9 au lait" in cleaned(report(7, item), site_key)


def test_the_unit_of_a_number_is_read_in_its_own_character_set() -> None:
    number = measured("3", "\u043b\u0443\u0447", "Count")
    number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].SpecificCharacterSet = "ISO_IR 144"
    assert words_of(report(7, number)).splitlines()[1:] == ["Count: 3 \u043b\u0443\u0447"]
