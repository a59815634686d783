from __future__ import annotations

import json
from typing import Any

import pytest

from unseen.deid.settings import DeidSettings, Method, Shape, Turned
from unseen.errors import InvalidConfiguration


def test_defaults_are_what_was_measured_best() -> None:
    chosen = DeidSettings()
    assert (chosen.method, chosen.shape, chosen.turned) == (Method.SOLID, Shape.ELLIPSE, Turned.AUTO)
    assert (chosen.threshold, chosen.mask_scale, chosen.long_sides_px) == (0.22, 1.3, (640, 192))


def test_words_and_lists_are_taken_for_what_they_name() -> None:
    chosen = DeidSettings(method="blur", shape="box", turned="never", always_cover=[[0, 0, 1, 0.5]])  # type: ignore[arg-type]
    assert (chosen.method, chosen.shape, chosen.turned) == (Method.BLUR, Shape.BOX, Turned.NEVER)
    assert chosen.always_cover == ((0.0, 0.0, 1.0, 0.5),)
    assert json.loads(json.dumps(chosen.as_dict()))["always_cover"] == [[0, 0, 1, 0.5]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "gaussian"},
        {"shape": "star"},
        {"turned": True},
        {"threshold": 0},
        {"threshold": 1},
        {"threshold": float("nan")},
        {"threshold": "high"},
        {"mask_scale": 0.9},
        {"mask_scale": 5},
        {"cells": 0},
        {"cells": 5},
        {"smallest_face": 0.5, "largest_face": 0.4},
        {"largest_face": 1.1},
        {"always_cover": [(0, 0, 1)]},
        {"always_cover": [(0.5, 0, 0.4, 1)]},
        {"always_cover": [(0, 0, 2, 1)]},
        {"never_cover": [(0, 0, float("nan"), 1)]},
        {"never_cover": [(0, 0, 1, 1)] * 101},
        {"never_cover": 3},
        {"long_sides_px": ()},
        {"long_sides_px": (640, 8)},
        {"long_sides_px": (9000,)},
        {"long_sides_px": (640,) * 9},
    ],
)
def test_choices_that_make_no_sense_are_refused_with_what_was_expected(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration, match="expected"):
        DeidSettings(**wrong)


def test_a_refusal_names_the_wrong_choice_and_no_other() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        DeidSettings(threshold=2, cells=3)
    assert str(refused.value) == "got threshold=2, expected a threshold between 0 and 1"
