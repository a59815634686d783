"""A sample of `python -m bench.burned_in`: strings are planted, covered, and nobody reads them after."""

from __future__ import annotations

import shutil

import pytest

from bench import planted_text
from bench.burned_in import common, measured, summary, table
from bench.planted_text import DEJAVU, SCRIPTS, Script, plain_backgrounds, planted_picture
from unseen.deid.text.finder import TextFinder
from unseen.deid.text.reader import TextReader

READABLE = {
    name: Script(DEJAVU, "eng", script.words, script.share)
    for name, script in SCRIPTS.items()
    if name in {"latin", "cyrillic", "greek"}
}
"""What a font that is installed everywhere can write; tesseract reads Latin letters only, the bench has the others."""


SIDE_PX = 320
"""Two fifths of the work that the bench's pictures of 512 are."""


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed: make system")
def test_no_planted_string_can_be_read_after_it_was_covered() -> None:
    finder, reader, backgrounds = TextFinder(), TextReader(), plain_backgrounds()
    outcomes = []
    for seed in range(3):
        outcomes += measured(planted_picture(900 + seed, backgrounds, READABLE, SIDE_PX), finder, reader)
    figures = summary(outcomes, [])
    assert figures["strings"] == 12
    assert figures["refused_pictures"] == 0, figures["reasons"]
    assert figures["read_before"] >= 6, "strings that nobody could read before prove nothing"
    assert figures["read_after"] == 0, list(table(figures))


def test_planting_gives_the_same_picture_for_the_same_seed() -> None:
    backgrounds = plain_backgrounds()
    one, two = (planted_picture(5, backgrounds, READABLE) for _ in range(2))
    assert (one.frames.stored == two.frames.stored).all()
    assert [string.text for string in one.strings] == [string.text for string in two.strings]


@pytest.mark.parametrize(
    ("read", "planted", "letters"),
    [
        ("DOE JANE", "doe^jane", 4),
        ("", "DOE", 0),
        ("xx471yy", "ID 4711", 3),
        ("上海", "上海医院", 2),
        ("abc", "xyz", 0),
    ],
)
def test_letters_in_a_row_are_counted(read: str, planted: str, letters: int) -> None:
    assert common(read, planted) == letters


def test_a_picture_without_room_for_its_strings_is_told_instead_of_sought_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planted_text, "MOST_TRIES", 50)
    with pytest.raises(ValueError, match="another seed or side"):
        planted_picture(5, {"black": plain_backgrounds()["black"]}, READABLE, side_px=16)
