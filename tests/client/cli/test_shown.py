"""What records and file names say reaches the terminal as letters, never as commands."""

from __future__ import annotations

import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import UnseenError
from unseen_client import Record
from unseen_client.cli.outcome import telling
from unseen_client.cli.rows import row_line
from unseen_client.cli.search import print_hits
from unseen_client.cli.shown import refused_lines, shown
from unseen_client.report import Hit, Refusal, StoreWentBack

EVIL = "\x1b]0;owned\x07\x9b2J\u202egpj.exe"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("tiger \U0001f405 café 東京\u3000タワー", "tiger \U0001f405 café 東京\u3000タワー"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("\x1b[2J\x9b2J\x07", "�[2J�2J�"),
        ("\u202egpj.exe", "�gpj.exe"),
        ("half \ud83d", "half �"),
    ],
)
def test_known_answers(text, seen):
    assert shown(text) == seen


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_left(text):
    assert not {unicodedata.category(letter) for letter in shown(text)} & {"Cc", "Cs", "Zl", "Zp"}
    assert shown(shown(text)) == shown(text)


def test_hits_and_rows_are_shown_without_control_characters(capsys):
    record = Record(id=EVIL, name=EVIL, caption=EVIL, tags=(EVIL,))
    print_hits([Hit(EVIL, 0.5, record)])
    print(row_line(record))
    written = capsys.readouterr().out
    assert "gpj.exe" in written
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(written)


def test_a_refused_file_is_shown_without_control_characters():
    (line,) = refused_lines([Refusal(EVIL, "IMAGE_REFUSED", f"cannot read {EVIL}")])
    assert line.count("gpj.exe") == 2
    assert shown(line) == line


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_server_says_of_an_error_is_shown_without_control_characters(capsys, as_json):
    def failing():
        warnings.warn(EVIL, StoreWentBack, stacklevel=1)
        error = UnseenError(EVIL)
        error.add_note(EVIL)
        raise error

    with pytest.raises(SystemExit), telling(as_json=as_json):
        failing()
    written = capsys.readouterr().err
    assert written.count("gpj.exe") == 3
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(written)
