"""Tags without training: those that fit are given, by a rank that any model can be held to; rows move as written."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from unseen.embed.model import Facet
from unseen.errors import InvalidInput
from unseen_client.calls.describing_protocol import as_vocabulary
from unseen_client.describing.describer import Describing, moved
from unseen_client.describing.tagger import NULL_WORDS, Tagger
from unseen_client.describing.vocabulary import PLACE, Vocabulary

DIMENSION = 24


class Letters:
    """A model that makes a direction out of a text's hash: no two texts are alike, none is like a picture."""

    text_score_scale = 2.0

    def text(self, words: str) -> np.ndarray:
        vector = np.random.default_rng(list(words.encode())).normal(size=DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


VOCABULARY = Vocabulary(("apple", "of my own", "another", "a third"), ("{}", "a drawing of {}"))
NULL = [word for word in NULL_WORDS.split() if word != "apple"]


@functools.cache
def mean(text):
    every = sum(Letters().text(prompt.replace(PLACE, text)).astype(float) for prompt in VOCABULARY.prompts)
    return every / np.linalg.norm(every)


def plainly(vector, most_chance):
    """The tags by the page's words, one at a time."""
    found = []
    for tag in VOCABULARY.tags:
        score = 2.0 * float(vector @ mean(tag))
        chance = (1 + sum(2.0 * float(vector @ mean(word)) >= score for word in NULL)) / (1 + len(NULL))
        if chance <= most_chance:
            found.append((tag, score, chance))
    return sorted(found, key=lambda one: -one[1])


@pytest.mark.parametrize("most_chance", [0.02, 0.2, 1.0])
def test_tags_are_those_of_plain_arithmetic(most_chance):
    tagger = Tagger(Letters(), VOCABULARY, most_chance)
    for vector in np.random.default_rng(5).normal(size=(60, DIMENSION)).astype(np.float32):
        found, expected = tagger.tags(vector), plainly(vector, most_chance)
        assert [one.text for one in found] == [one[0] for one in expected]
        assert [one.score for one in found] == pytest.approx([one[1] for one in expected], abs=1e-4)
        assert [one.chance for one in found] == pytest.approx([one[2] for one in expected], abs=1e-9)


def test_of_pictures_that_nothing_fits_few_get_a_tag():
    """The calibration's promise: at a chance of 0.05 a tag that says nothing is given to one picture in twenty."""
    tagger = Tagger(Letters(), Vocabulary(("nothing of the kind",)), 0.05)
    vectors = np.random.default_rng(7).normal(size=(4000, DIMENSION))
    assert np.mean([bool(tagger.tags(vector)) for vector in vectors]) == pytest.approx(0.05, abs=0.03)


def test_the_null_set_is_words_each_once():
    words = NULL_WORDS.split()
    assert len(words) == len(set(words)) == 177


@pytest.mark.parametrize("facets", [{}, {"visual": Facet(0, 8, 0.6), "semantic": Facet(8, DIMENSION, 0.8)}])
def test_a_row_is_moved_towards_its_words_and_stays_as_long(facets):
    run = slice(8, None) if facets else slice(None)
    row, one, other = np.random.default_rng(3).normal(size=(3, DIMENSION)).astype(np.float32)
    row /= np.linalg.norm(row)
    for words in (one, other):
        words[: run.start or 0] = 0

    def unit(vector):
        return vector / np.linalg.norm(vector)

    made = moved(row, [one, other], facets, 0.3)
    said = unit(unit(one[run]) + unit(other[run]))
    assert made[run] == pytest.approx(unit(0.7 * unit(row[run]) + 0.3 * said) * np.linalg.norm(row[run]), abs=1e-6)
    assert np.array_equal(made[: run.start or 0], row[: run.start or 0])
    assert np.linalg.norm(made) == pytest.approx(1, abs=1e-6)
    assert unit(made[run]) @ unit(one[run]) > unit(row[run]) @ unit(one[run])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Vocabulary(()),
        lambda: Vocabulary(("a", " ")),
        lambda: Vocabulary(("a" * 201,)),
        lambda: Vocabulary(("a",), ("a photo",)),
        lambda: Vocabulary(("a",), ()),
        lambda: Describing(weight=1.0),
        lambda: Describing(weight=float("nan")),
        lambda: Tagger(Letters(), Vocabulary(("a",)), 0.0),
    ],
)
def test_what_is_no_vocabulary_and_no_weight_is_refused(make):
    with pytest.raises(InvalidInput):
        make()


def test_bare_tags_are_a_vocabulary_with_the_usual_prompts():
    assert as_vocabulary(["dog", "boat"]) == Vocabulary(("dog", "boat"))
    assert as_vocabulary("a red car") == Vocabulary(("a red car",))
    assert as_vocabulary(VOCABULARY) is VOCABULARY


def test_a_vocabulary_is_read_from_lines(tmp_path):
    file = tmp_path / "tags.txt"
    file.write_text("# mine\ndog\n\n  a red car \ndog\n海滩\n", encoding="utf-8")
    assert Vocabulary.read(file).tags == ("dog", "a red car", "海滩")
    file.write_text("\ufeffdog\n", encoding="utf-8")  # as Windows writes it
    assert Vocabulary.read(file).tags == ("dog",)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="UTF-8"):
        Vocabulary.read(file)
    with pytest.raises(InvalidInput):
        Vocabulary.read(tmp_path / "absent")
