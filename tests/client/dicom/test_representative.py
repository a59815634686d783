"""Which pictures stand for a volume: known answers, and what holds for any number of slices in any order."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.deid.dicom.placement import Origin, Placement
from unseen.errors import ImageRefused
from unseen_client.dicom.representative import chosen_frames, chosen_objects, spread
from unseen_client.dicom.source import DicomFile
from unseen_client.flows.survey import Chosen, row_name


def at(number: int, series: str = "s", modality: str = "CT", frames: int = 1, **more: object) -> Placement:
    fields = {"normal": (0.0, 0.0, 1.0), "distance_mm": 5.0 * number, "instance_number": None, **more}
    return Placement(Origin(), "st", series, f"i{series}{number}", "0" * 16, modality, "", frames, **fields)  # type: ignore[arg-type]


def test_pictures_are_spread_over_the_middle() -> None:
    assert spread(100, 4) == (20, 40, 60, 80)
    assert spread(100, 1) == (50,)
    assert spread(3, 8) == (0, 1, 2)
    assert spread(1000, 0) == tuple(range(1000))
    assert chosen_frames(at(0, frames=30), 3) == (7, 15, 23)


@given(st.integers(1, 5000), st.integers(1, 64))
def test_any_choice_rises_stays_within_and_leaves_no_wide_gap(count: int, wanted: int) -> None:
    chosen = spread(count, wanted)
    assert list(chosen) == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < count
    assert len(chosen) == min(count, wanted)
    if count > wanted > 1:
        assert max(b - a for a, b in pairwise(chosen)) <= 0.8 * count / wanted + 2


@given(st.integers(0, 1 << 30))
def test_the_order_of_files_and_their_names_change_nothing(seed: int) -> None:
    stack = [at(number) for number in range(40)]
    random.Random(seed).shuffle(stack)
    named = {f"{seed}-{number}": one for number, one in enumerate(stack)}
    chosen = {named[key].distance_mm for key in chosen_objects(named, 4)}
    assert chosen == {5.0 * number for number in spread(40, 4)}


def test_stacks_of_other_directions_and_other_series_are_volumes_of_their_own() -> None:
    objects = {f"a{n}": at(n) for n in range(20)} | {f"b{n}": at(n, normal=(1.0, 0.0, 0.0)) for n in range(20)}
    objects |= {f"c{n}": at(n, series="t") for n in range(20)}
    assert len(chosen_objects(objects, 4)) == 12


def test_slices_without_a_place_go_by_their_number_and_copies_count_once() -> None:
    objects = {f"{n:02}": at(n, normal=None, distance_mm=None, instance_number=20 - n) for n in range(20)}
    expected = {f"{20 - number:02}" for number in (place + 1 for place in spread(20, 4))}
    assert chosen_objects(objects, 4) == expected
    assert chosen_objects(objects | {f"copy{key}": one for key, one in objects.items()}, 4) == expected


def test_projections_and_clips_stand_for_themselves() -> None:
    radiographs = {str(n): at(n, modality="DX") for n in range(20)}
    assert chosen_objects(radiographs, 4) == set(radiographs)
    clips = {str(n): at(n, frames=9) for n in range(20)}
    assert chosen_objects(clips, 4) == set(clips)


def test_a_file_that_holds_another_object_than_was_looked_through_is_refused() -> None:
    one = Chosen(DicomFile(Path("slice")), at(3), (0,))
    assert one.chosen_frames(at(3)) == (0,)
    with pytest.raises(ImageRefused, match="another object"):
        one.chosen_frames(at(4))


def test_ids_of_rows_are_those_of_the_format() -> None:
    assert row_name("2.25.1", 1) == hashlib.sha256(b"2.25.1/1").hexdigest()[:16] == "5a24975fd9baa7e9"
    assert len({row_name("2.25.1", frame) for frame in range(1, 100)} | {row_name("2.25.11", 1)}) == 100
