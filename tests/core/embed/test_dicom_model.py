"""A model for DICOM objects names its recipe: another choice is another model, with the same words and numbers."""

from __future__ import annotations

import pytest

from unseen.embed import dicom_model
from unseen.embed.dicom_model import dicom_suffix, is_dicom_model, with_dicom, without_dicom
from unseen.embed.registry import default_registry
from unseen.errors import ModelMismatch

CHOICES = (
    "RECIPE",
    "TAILS_PERCENT",
    "EMPTY_SHARE",
    "LONGEST_SIDE_PX",
    "SMALLEST_REGION_PX",
    "BACKGROUND",
    "CENTRE_SHARE",
)


def test_every_choice_is_part_of_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    suffixes = {dicom_suffix()}
    for name in CHOICES:
        with monkeypatch.context() as changed:
            changed.setattr(dicom_model, name, getattr(dicom_model, name) + 1)
            suffixes.add(dicom_suffix())
    assert len(suffixes) == len(CHOICES) + 1


def test_the_recipe_is_the_published_one() -> None:
    assert dicom_suffix() == "+dicom:2149e1be89f7"


def test_every_model_stands_twice_and_another_recipe_is_refused() -> None:
    plain = default_registry()
    both = with_dicom(plain)
    assert both.names() == ("bundled", "bundled+dicom")
    entry = both.entry("bundled+dicom")
    assert entry.model_id == plain.entry("bundled").model_id + dicom_suffix()
    assert (is_dicom_model(entry.model_id), is_dicom_model("bundled")) == (True, False)
    assert without_dicom(entry.model_id) == plain.entry("bundled").model_id
    with pytest.raises(ModelMismatch, match="through other windows and borders: use the release"):
        both.entry_with_id(entry.model_id[:-1] + "x")


def test_words_and_numbers_are_those_of_the_model_behind() -> None:
    both = with_dicom(default_registry())
    plain, dicom = both.load("bundled"), both.load("bundled+dicom")
    assert (dicom.dimension, dicom.text_score_scale) == (plain.dimension, plain.text_score_scale)
    assert dicom.model_id == both.entry("bundled+dicom").model_id
    assert (dicom.text("a lung") == plain.text("a lung")).all()
