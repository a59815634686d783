"""A sample of `python -m bench.malformed_dicom`: bombs and mutations through the real children."""

from __future__ import annotations

from bench.hostile_objects import bombs, mutations
from bench.malformed_dicom import measured, table
from unseen_client.deid.attributes import MEMORY_BYTES


def test_hostile_objects_are_refused_or_cleaned_and_nothing_else_happens() -> None:
    figures = measured(40, seed=7)
    assert figures["errors"] == {}, list(table(figures))
    assert figures["objects"] == 40 + len(list(bombs()))
    assert figures["child_peak_mib"] <= MEMORY_BYTES >> 20
    assert figures["outcomes"]["refused at its attributes"] >= 15
    assert all("expected" in reason or len(reason) > 20 for reason in figures["reasons"])


def test_the_same_seed_gives_the_same_objects() -> None:
    assert list(mutations(9, 3)) == list(mutations(9, 3))
