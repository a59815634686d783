"""Waiting ends: with what was waited for, or with its name."""

from __future__ import annotations

import pytest

from tests.waiting import until


def test_waiting_ends_when_it_has_come_about() -> None:
    answers = iter([False, False, True])
    until("the third answer", lambda: next(answers))
    assert list(answers) == []


def test_waiting_in_vain_fails_and_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"after 0\.02 s .*: pigs fly"):
        until("pigs fly", lambda: False, timeout_s=0.02)
