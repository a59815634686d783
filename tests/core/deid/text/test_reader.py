from __future__ import annotations

import numpy as np
import pytest

from tests.core.deid.text.lettering import page, write
from unseen.deid.text.reader import TextReader


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader()


@pytest.mark.parametrize("text", ["DOE^JANE", "4711-0815", "5.0 cm", "MI 0.8", "St. Mary"])
def test_plain_print_is_read(reader: TextReader, text: str) -> None:
    picture = page()
    left, top, right, bottom = write(picture, text, 40, 80, 24)
    reading = reader.read(np.asarray(picture), (left - 6, top - 6, right + 6, bottom + 6))
    assert reading.text.replace(" ", "") == text.replace(" ", "")
    assert reading.score > 0.9


def test_nothing_is_read_where_nothing_stands(reader: TextReader) -> None:
    assert reader.read(np.asarray(page()), (10, 10, 100, 40)).text == ""


def test_a_reading_does_not_print_what_was_read(reader: TextReader) -> None:
    picture = page()
    box = write(picture, "DOE^JANE", 40, 80, 24)
    assert "DOE" not in repr(reader.read(np.asarray(picture), box))
