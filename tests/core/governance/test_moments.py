"""Moments as documents have them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.errors import InvalidDocument
from unseen.governance.moments import LAST_MOMENT_S, moment_seconds, moment_text


def test_known_moments() -> None:
    assert moment_text(0) == "1970-01-01T00:00:00Z"
    assert moment_text(951_782_400) == "2000-02-29T00:00:00Z"
    assert moment_text(LAST_MOMENT_S) == "9999-12-31T23:59:59Z"


@given(st.integers(0, LAST_MOMENT_S))
def test_text_and_seconds_are_inverses_and_agree_with_datetime(seconds: int) -> None:
    text = moment_text(seconds)
    assert moment_seconds(text) == seconds
    assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() == seconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.5Z",
        "202\u0666-01-01T00:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidDocument):
        moment_seconds(text)


def test_moments_before_1970_and_after_9999_cannot_be_written() -> None:
    for seconds in (-1, LAST_MOMENT_S + 1):
        with pytest.raises(InvalidDocument):
            moment_text(seconds)
