"""Normal and exponential deviates are what they claim: laws, known answers, a slower twin, and their farthest tails."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import stats

from unseen.dp import compiled_normal, normal
from unseen.dp.normal import exponentials, normals, rounded_normals, uniforms


class RunsOut(Exception):
    pass


class PlainTwin:
    """Algorithm N as the paper has it, on Python integers, from the same words."""

    def __init__(self, words: np.ndarray) -> None:
        self.words = iter(words.tolist())

    def word(self) -> int:
        try:
            return next(self.words)
        except StopIteration:
            raise RunsOut from None

    def with_probability(self, p: mpmath.mpf) -> bool:
        return self.word() > 2**64 - 1 - int(mpmath.floor(p * 2**64))

    def part(self, k: int, x: int) -> bool:
        sides = 2 * k + 2
        while (roll := self.word() >> 32) >= 2**32 // sides * sides:
            pass
        side = roll % sides
        return self.word() < x if side == sides - 2 else side < sides - 2

    def below(self, k: int, x: int) -> bool:
        y, n = x, 0
        while (z := self.word()) < y and self.part(k, x):
            y, n = z, n + 1
        return n % 2 == 0

    def normal(self) -> tuple[int, int]:
        half = mpmath.exp(mpmath.mpf("-0.5"))
        while True:
            k = 0
            while self.with_probability(half):
                k += 1
            if not all(self.with_probability(half) for _ in range(k * (k - 1))):
                continue
            x = self.word()
            if all(self.below(k, x) for _ in range(k + 1)):
                return (~k if self.word() >= 2**63 else k), x

    def exponential(self) -> tuple[int, int]:
        k = 0
        while self.with_probability(mpmath.exp(-1)):
            k += 1
        while True:
            x = y = self.word()
            n = 0
            while (z := self.word()) < y:
                y, n = z, n + 1
            if n % 2 == 0:
                return k, x


WORDS = np.random.default_rng(3).integers(0, 1 << 64, 30_000, dtype=np.uint64)


@pytest.mark.parametrize(
    ("kind", "fill"), [("normal", compiled_normal.fill_normals), ("exponential", compiled_normal.fill_exponentials)]
)
def test_every_deviate_is_that_of_the_plain_twin_on_the_same_words(kind: str, fill: normal.Fill) -> None:
    whole, fraction = np.empty(1500, np.int64), np.empty(1500, np.uint64)
    with mpmath.workdps(40):
        twin = PlainTwin(WORDS)
        expected = [getattr(twin, kind)() for _ in range(1500)]
    finished, used = fill(WORDS, whole, fraction)
    assert finished == 1500
    assert list(zip(whole.tolist(), fraction.tolist(), strict=True)) == expected
    assert used == len(WORDS) - len(list(twin.words))


def test_a_deviate_whose_words_ran_out_is_begun_again_with_the_same_words() -> None:
    whole, fraction = np.empty(40, np.int64), np.empty(40, np.uint64)
    compiled_normal.fill_normals(WORDS, whole, fraction)
    words, done = np.zeros(0, np.uint64), 0
    pieced_whole, pieced_fraction = np.empty(40, np.int64), np.empty(40, np.uint64)
    for start in range(0, len(WORDS), 3):
        words = np.concatenate([words, WORDS[start : start + 3]])
        finished, used = compiled_normal.fill_normals(words, pieced_whole[done:], pieced_fraction[done:])
        words, done = words[used:], done + finished
        if done == 40:
            break
    assert (pieced_whole.tolist(), pieced_fraction.tolist()) == (whole.tolist(), fraction.tolist())


def test_running_out_of_words_leaves_the_deviates_that_were_finished() -> None:
    whole, fraction = np.empty(1000, np.int64), np.empty(1000, np.uint64)
    finished, used = compiled_normal.fill_normals(WORDS[:50], whole, fraction)
    assert 0 < finished < 50
    assert 0 < used <= 50


@pytest.mark.parametrize("seed", range(3))
def test_zero_words_end_every_loop(seed: int) -> None:
    words = np.concatenate([WORDS[seed : seed + 7], np.zeros(40, np.uint64)])
    whole, fraction = np.empty(9, np.int64), np.empty(9, np.uint64)
    for fill in (compiled_normal.fill_normals, compiled_normal.fill_exponentials):
        fill(words, whole, fraction)


@pytest.mark.usefixtures("fixed_noise")
def test_normals_follow_the_normal_law() -> None:
    sample = normals((300_000,))
    assert stats.kstest(sample, "norm").pvalue > 0.001
    assert stats.kurtosis(sample) == pytest.approx(0, abs=0.05)


@pytest.mark.usefixtures("fixed_noise")
def test_exponentials_follow_the_exponential_law() -> None:
    assert stats.kstest(exponentials(300_000), "expon").pvalue > 0.001


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("bits", [0, 1, 4])
def test_rounded_normals_have_the_probability_of_every_integer(bits: int) -> None:
    scale, count = 2**bits, 200_000
    sample = rounded_normals((count,), bits)
    edges = np.arange(-3 * scale, 3 * scale + 1)
    cdf = stats.norm.cdf((edges - 0.5) / scale)
    expected = count * np.concatenate([[cdf[0]], np.diff(cdf), [1 - cdf[-1]]])
    seen = np.bincount(np.clip(sample - edges[0] + 1, 0, len(edges)), minlength=len(edges) + 1)
    assert stats.chisquare(seen, expected).pvalue > 0.001


@pytest.mark.parametrize("bits", [0, 7, 20, 24])
def test_rounding_is_that_of_the_exact_fraction(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.array([0, 0, 0, 3, ~np.int64(0), ~np.int64(5)])
    fraction = np.array([0, (1 << 64) - 1, 1 << 63, 123456789 << 35, 1 << 63, (1 << 64) - 1], np.uint64)
    monkeypatch.setattr(normal, "_draw", lambda fill, count: (whole, fraction))
    exact = []
    for k, x in zip(whole.tolist(), fraction.tolist(), strict=True):
        size = ((k if k >= 0 else ~k) * 2**64 + x) * 2**bits
        rounded = (size + 2**63) // 2**64
        exact.append(rounded if k >= 0 else -rounded)
    assert rounded_normals((6,), bits).tolist() == exact


def test_the_tails_have_no_end() -> None:
    # Words that make a deviate beyond thirty: nothing but its rarity stands against it. 53-bit formulas end at nine.
    ones, x = (1 << 64) - 1, 5 << 59
    words = [ones] * 30 + [0] + [ones] * (30 * 29) + [x] + [ones] * 31 + [0]
    whole, fraction = np.empty(1, np.int64), np.empty(1, np.uint64)
    assert compiled_normal.fill_normals(np.array(words, np.uint64), whole, fraction) == (1, len(words))
    assert (whole[0], fraction[0]) == (30, x)


def test_the_constants_are_those_of_mpmath() -> None:
    with mpmath.workdps(60):
        assert int(compiled_normal.EXP_MINUS_HALF) == int(mpmath.floor(mpmath.exp(mpmath.mpf("-0.5")) * 2**64))
        assert int(compiled_normal.EXP_MINUS_ONE) == int(mpmath.floor(mpmath.exp(-1) * 2**64))


@pytest.mark.usefixtures("fixed_noise")
def test_uniforms_are_uniform_and_never_zero_or_one() -> None:
    sample = uniforms(100_000)
    assert stats.kstest(sample, "uniform").pvalue > 0.001
    assert 0 < sample.min() < sample.max() < 1


def test_two_draws_never_share_noise() -> None:
    assert not np.array_equal(normals((64,)), normals((64,)))


def test_too_many_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 24"):
        rounded_normals((1,), 25)


def test_the_words_per_draw_hardly_ever_need_a_second_helping() -> None:
    whole, fraction = np.empty(1500, np.int64), np.empty(1500, np.uint64)
    _, used = compiled_normal.fill_normals(WORDS, whole, fraction)
    assert used / 1500 == pytest.approx(normal.WORDS_PER_DRAW, rel=0.15)
