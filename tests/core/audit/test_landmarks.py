"""What is of a time, or from a leaf on, is found whatever the clock did, and without reading a log from its start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.audit.conftest import ORIGIN, OpenLog, TestSigner
from unseen.audit import log as log_module
from unseen.audit.frames import Frame
from unseen.audit.leaf import DONE, Leaf, text_of_time, time_of
from unseen.audit.log import Log


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=9), max_size=12), st.integers(0, 41), st.integers(0, 90)
)
def test_what_is_of_a_time_is_found_whatever_the_clock_did(groups: list[list[int]], moment: int, start: int) -> None:
    """Against a list that is read from its beginning; while the log grows, explored or not."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "LANDMARK_LEAVES", 4)
        log = Log(Path(folder), ORIGIN, bytes(32), TestSigner())
        plain: list[bytes] = []
        for number, times in enumerate(groups):
            leaves = [Leaf("Search", "device", time_ms, DONE).to_bytes(bytes(16)) for time_ms in times]
            log.append(leaves)
            plain += leaves
            while number % 3 and log.explore():
                pass
            late = [index for index, leaf in enumerate(plain) if text_of_time(moment) <= time_of(leaf)]
            assert log.first_since(text_of_time(moment), log.size) == min([*late, len(plain)])
            assert list(log.leaves(start)) == plain[start:]
        log.close()


def test_a_log_that_was_explored_is_read_from_near_what_is_asked_for(
    open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "LANDMARK_LEAVES", 4)
    log = open_log()
    for time_ms in range(50):
        log.append([Leaf("Search", "device", time_ms, DONE).to_bytes(bytes(16))])
    while log.explore():
        pass
    read = count_frames(log, monkeypatch)
    assert (log.first_since(text_of_time(48), 50), len(list(log.leaves(47))), log.explore()) == (48, 3, False)
    assert 5 <= len(read) <= 10, "of fifty"


def count_frames(log: Log, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first leaf of every group that is read from now on."""
    read, frames = list[int](), log._frames.read

    def counted(offset: int, end: int) -> Iterator[Frame]:
        for frame in frames(offset, end):
            read.append(frame.first_index)
            yield frame

    monkeypatch.setattr(log._frames, "read", counted)
    return read
