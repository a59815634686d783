"""The search for leaks finds every needle at every position, and nothing else: beside Python's own search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen_client.demo.search_bytes import SHORTEST_NEEDLE, Needle, Needles

FEW_LETTERS = st.binary(max_size=80).map(lambda data: bytes(byte % 3 for byte in data))


@given(
    haystack=FEW_LETTERS, needles=st.lists(FEW_LETTERS.filter(lambda data: len(data) >= SHORTEST_NEEDLE), max_size=8)
)
def test_search_agrees_with_plain_search(haystack: bytes, needles: list[bytes]) -> None:
    wanted = {Needle("kind", str(number), data) for number, data in enumerate(needles)}
    assert Needles(wanted).found_in(haystack) == {needle for needle in wanted if needle.data in haystack}


@pytest.mark.parametrize("position", range(24))
def test_a_needle_is_found_at_every_position(position: int) -> None:
    needle = Needle("kind", "one", b"0123456789")
    assert Needles([needle]).found_in(b"x" * position + needle.data) == {needle}


def test_a_needle_cut_by_one_byte_is_not_found() -> None:
    assert not Needles([Needle("kind", "one", b"0123456789")]).found_in(b"xx012345678")


def test_needles_that_chance_would_find_are_refused() -> None:
    with pytest.raises(ValueError, match="by chance"):
        Needle("kind", "one", b"villa")
