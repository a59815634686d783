"""A sample of what bench/malformed_images.py puts through the decoder: no crash, and every refusal explained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.hostile_pictures import bombs, mutations
from bench.malformed_images import measured
from unseen.errors import ImageRefused
from unseen_client.decode import Decoder

SAMPLE = 80


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as running:
        yield running


def test_mutated_pictures_are_decoded_or_refused_with_a_reason() -> None:
    cases = list(mutations(SAMPLE, seed=7))
    figures = measured((case.family, case.name, case.data) for case in cases)
    assert figures["unexplained"] == []
    assert figures["pictures"] == SAMPLE
    counts = [count for outcomes in figures["families"].values() for count in outcomes.items()]
    assert sum(number for outcome, number in counts if outcome != "decoded") > SAMPLE / 2


def test_bombs_and_nested_horrors_are_decoded_or_refused_with_a_reason() -> None:
    cases = list(bombs())[::2]
    figures = measured((case.family, case.name, case.data) for case in cases)
    assert figures["unexplained"] == []
    assert figures["pictures"] == len(cases) > 30


def test_the_same_seed_makes_the_same_pictures() -> None:
    assert list(mutations(40, seed=3)) == list(mutations(40, seed=3))
    assert list(mutations(40, seed=3)) != list(mutations(40, seed=4))


def test_a_picture_that_says_it_is_huge_is_refused_for_that(decoder: Decoder) -> None:
    huge = next(case for case in bombs() if case.name == "says 65535 x 65535")
    with pytest.raises(ImageRefused, match=r"million pixels|broken|known kind"):
        decoder.decode(huge.data)
