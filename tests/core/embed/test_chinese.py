"""Chinese words are put into the English ones that CC-CEDICT gives, and find what these find."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.embed import bundled
from unseen.embed.bundled import BESIDE_THE_DICTIONARY, FOLDER, VISUAL_DIMENSION, BundledEmbedder
from unseen.embed.languages import chinese
from unseen.embed.languages.chinese import BETWEEN_NOUNS, LONGEST_WORD, ChineseDictionary, is_chinese
from unseen.embed.languages.encoder import LanguageEncoder
from unseen.errors import IntegrityError
from unseen.weights import PinnedFile, package_folder, read_manifest

KNOWN = {
    "一辆红色的汽车": "red car",
    "一輛紅色的汽車": "red car",
    "埃菲尔铁塔": "Eiffel Tower",
    "蓝色的iPhone 15手机": "blue iPhone 15 cell phone",
    "树枝上的一只鸟": "branch bird",  # not what a dialect calls one
    "雪地里的一只老虎": "snow tiger",
    "日": "sun",  # not a name of Japan
    "胡蝶和杧果": "butterfly mango",  # what the dictionary has under another spelling
    "医大": "university of medicine",
    "基本粒子": "elementary particle",
    "结构助词": "",
    "㐀㐁": "",
    "a red car": "a red car",
    "": "",
}


@pytest.fixture(scope="module")
def dictionary() -> ChineseDictionary:
    return ChineseDictionary()


@pytest.fixture(scope="module")
def headwords() -> frozenset[str]:
    """What the file lists, in both scripts, read in the plainest way."""
    lines = (
        gzip.decompress((package_folder(chinese.PACKAGE, chinese.PACKAGE) / chinese.FILE.name).read_bytes())
        .decode()
        .splitlines()
    )
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split(" ")[:2])


@pytest.mark.parametrize("words", KNOWN)
def test_words_become_the_first_thing_that_they_mean(dictionary: ChineseDictionary, words: str) -> None:
    assert dictionary.english(words) == KNOWN[words]


@given(st.text(alphabet="红色的汽车火车站大象牙医生日本人一只鸟类青椒树枝", max_size=24))
def test_a_text_is_cut_into_the_longest_words_that_the_file_lists(
    dictionary: ChineseDictionary, headwords: frozenset[str], text: str
) -> None:
    rest, plain = text, []
    while rest:
        listed = [rest[:size] for size in range(1, LONGEST_WORD + 1) if rest[:size] in headwords]
        plain.append(max(listed, key=len, default=rest[0]))
        rest = rest[len(plain[-1]) :]
    assert list(dictionary._words(text)) == [word for word in plain if word not in BETWEEN_NOUNS]


@given(st.text(max_size=40))
def test_any_text_is_read(dictionary: ChineseDictionary, text: str) -> None:
    told = dictionary.english(text)
    assert told == told.strip()
    assert told or not text.isascii() or not any(letter.isalnum() for letter in text)


def test_other_languages_that_write_chinese_characters_are_not_taken_for_chinese() -> None:
    assert is_chinese("富士苹果")
    assert not is_chinese("りんご(富士)")
    assert not is_chinese("한국어 漢字")
    assert not is_chinese("a red car")


def test_a_query_is_the_dictionary_and_half_as_much_of_the_encoder(
    model: BundledEmbedder, dictionary: ChineseDictionary
) -> None:
    words = "树枝上的一只鸟"
    told = model.english(dictionary.english(words))[VISUAL_DIMENSION:].astype(float)
    both = told + BESIDE_THE_DICTIONARY * LanguageEncoder().encode(words)
    assert model.text(words)[VISUAL_DIMENSION:] == pytest.approx(both / np.linalg.norm(both), abs=1e-6)


def test_words_that_the_dictionary_does_not_know_are_left_to_the_encoder(
    model: BundledEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "is_installed", lambda package: package != chinese.PACKAGE)
    without = BundledEmbedder(read_manifest(FOLDER))
    assert np.array_equal(model.text("㐀㐁"), without.text("㐀㐁"))


def test_the_dictionary_alone_is_enough(monkeypatch: pytest.MonkeyPatch, dictionary: ChineseDictionary) -> None:
    monkeypatch.setattr(bundled, "is_installed", lambda package: package == chinese.PACKAGE)
    alone = BundledEmbedder(read_manifest(FOLDER))
    assert np.array_equal(alone.text("青椒"), alone.english(dictionary.english("青椒")))


def test_a_dictionary_that_is_not_the_pinned_one_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chinese, "FILE", PinnedFile(chinese.FILE.name, "0" * 64, chinese.FILE.size_bytes))
    with pytest.raises(IntegrityError):
        ChineseDictionary()
