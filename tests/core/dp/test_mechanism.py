"""Every mechanism keeps the same promises: shapes, refusals, fresh noise, batches like single releases, no globals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unseen.dp.gaussian import Gaussian
from unseen.dp.loss import loss_of
from unseen.dp.mechanism import LARGEST_DIMENSION, ROWS_AT_ONCE, Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit
from unseen.errors import InvalidConfiguration, InvalidVector

MECHANISMS = [PrivUnit(0.01), PrivUnit(8.0), PrivUnit(2048.0), Gaussian(0.01), Gaussian(8.0, 1e-9), Gaussian(2048.0)]
MECHANISMS += [MetricVonMisesFisher(0.005), MetricVonMisesFisher(64.0), MetricVonMisesFisher(1024.0)]


@pytest.fixture(params=MECHANISMS, ids=str)
def mechanism(request: pytest.FixtureRequest) -> Mechanism:
    return request.param


@pytest.mark.parametrize("dimension", [4, 5, 64, 512])
def test_one_vector_comes_out_in_its_shape_with_its_event(mechanism: Mechanism, dimension: int, vectors) -> None:
    vector = vectors(1, dimension)[0]
    before = vector.copy()
    released, event = mechanism.release(vector)
    assert released.shape == (dimension,)
    assert released.dtype == np.float32
    assert np.isfinite(released).all()
    assert event == mechanism.event(dimension)
    assert np.array_equal(vector, before)


def test_a_batch_of_any_size_comes_out_row_by_row(mechanism: Mechanism, vectors) -> None:
    for count in (0, 1, 3, ROWS_AT_ONCE + 1):
        released, _ = mechanism.release_batch(vectors(count, 8))
        assert released.shape == (count, 8)
        assert np.isfinite(released).all()


def test_only_the_direction_of_a_vector_counts(mechanism: Mechanism, vectors, begin_noise_anew) -> None:
    vector = vectors(1, 16)[0]
    begin_noise_anew()
    released, _ = mechanism.release(vector)
    begin_noise_anew()
    assert np.array_equal(released, mechanism.release(vector * np.float32(1024))[0])


def test_the_same_vector_is_never_released_with_the_same_noise(mechanism: Mechanism, vectors) -> None:
    vector = vectors(1, 512)[0]
    first, second = mechanism.release(vector)[0], mechanism.release(vector)[0]
    both = mechanism.release_batch(np.stack([vector, vector]))[0]
    assert not np.array_equal(first, second)
    assert not np.array_equal(both[0], both[1])


@pytest.mark.usefixtures("fixed_noise")
def test_a_batch_has_the_law_of_single_releases(mechanism: Mechanism, vectors) -> None:
    vector = vectors(1, 8)[0]
    one_by_one = np.stack([mechanism.release(vector)[0] for _ in range(300)]) @ vector
    batch = mechanism.release_batch(np.repeat(vector[None], 3000, axis=0))[0] @ vector
    assert stats.ks_2samp(one_by_one, batch).pvalue > 0.001


def test_all_noise_comes_from_the_keystream(mechanism: Mechanism, vectors, begin_noise_anew) -> None:
    batch = vectors(20, 64)
    begin_noise_anew()
    released, _ = mechanism.release_batch(batch)
    begin_noise_anew()
    assert np.array_equal(released, mechanism.release_batch(batch)[0])


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_vector_that_is_none_is_refused(mechanism: Mechanism, bad: float) -> None:
    batch = np.ones((3, 8), np.float32)
    batch[1] = bad
    with pytest.raises(InvalidVector, match="vector 1"):
        mechanism.release_batch(batch)


@pytest.mark.parametrize("shape", [(8,), (2, 3), (2, 2, 8), (1, LARGEST_DIMENSION + 1)])
def test_a_batch_of_another_shape_is_refused(mechanism: Mechanism, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidVector, match="expected vectors"):
        mechanism.release_batch(np.ones(shape, np.float32))


def test_a_matrix_is_no_single_vector(mechanism: Mechanism) -> None:
    with pytest.raises(InvalidVector, match="expected one vector"):
        mechanism.release(np.ones((1, 8), np.float32))


def test_its_event_is_understood_and_travels_as_text(mechanism: Mechanism) -> None:
    event = mechanism.event(512)
    loss_of(event)
    assert type(event).from_json(event.to_json()) == event


def test_the_figures_of_utility_are_sane(mechanism: Mechanism) -> None:
    assert 0 < mechanism.expected_cosine(512) < 1
    assert mechanism.unbiasing_scale(512) >= 1


def test_a_mechanism_cannot_be_changed(mechanism: Mechanism) -> None:
    with pytest.raises(AttributeError):
        mechanism.epsilon = 1.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 0.001, 4096.0, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", [PrivUnit, Gaussian, lambda epsilon: MetricVonMisesFisher(epsilon / 2)])
def test_an_epsilon_outside_the_range_is_refused(kind, epsilon: float) -> None:
    with pytest.raises(InvalidConfiguration, match="epsilon"):
        kind(epsilon)
