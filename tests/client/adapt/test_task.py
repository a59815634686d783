"""Tasks: scores by hand, one picture's score and loss depend on that picture alone, directions are public."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import InvalidInput
from unseen_client.adapt.task import LARGEST_RANK, captions_task, labels_task, main_directions, scores


def test_the_directions_are_orthonormal_and_span_the_texts(task) -> None:
    up = task().up
    assert np.allclose(up @ up.T, np.eye(len(up)), atol=1e-5)
    texts = task().others
    assert np.allclose(texts @ up.T @ up, texts, atol=1e-5)
    many = np.random.default_rng(0).standard_normal((100, 384))
    assert main_directions(many).shape == (LARGEST_RANK, 384)
    assert main_directions(np.repeat(many[:1], 5, axis=0)).shape == (1, 384)


@pytest.mark.parametrize("captions", [False, True])
def test_scores_are_those_of_the_plain_twin(task, captions) -> None:
    made = task(20, captions=captions)
    down = np.random.default_rng(3).standard_normal((len(made.up), 512)).astype(np.float32)
    for at, score in enumerate(scores(made, down).tolist()):
        moved = made.semantic[at] + (down @ made.rows[at]) @ made.up
        cosines = [float(moved @ other) / float(np.linalg.norm(moved)) for other in made.others]
        if captions:
            own = float(moved @ made.own[at]) / float(np.linalg.norm(moved))
            assert score == pytest.approx(sum(one < own for one in cosines) / len(cosines))
        else:
            assert score == float(int(np.argmax(cosines)) == made.labels[at])


@pytest.mark.parametrize("captions", [False, True])
def test_a_score_depends_on_its_own_picture_alone(task, captions) -> None:
    made = task(20, captions=captions)
    down = np.random.default_rng(3).standard_normal((len(made.up), 512)).astype(np.float32)
    some = np.arange(20) % 3 == 0
    assert np.allclose(scores(made.part(some), down), scores(made, down)[some])


def test_scores_lie_between_none_and_all(task) -> None:
    for captions in (False, True):
        found = scores(task(50, captions=captions), np.zeros((len(task(50, captions=captions).up), 512), np.float32))
        assert ((found >= 0) & (found <= 1)).all()


def test_what_a_caption_is_held_against_does_not_come_from_captions() -> None:
    random = np.random.default_rng(0)
    rows, public = random.standard_normal((9, 512)).astype(np.float32), random.standard_normal((30, 384))
    one = captions_task(rows, random.standard_normal((9, 384)).astype(np.float32), public.astype(np.float32))
    two = captions_task(rows, random.standard_normal((9, 384)).astype(np.float32), public.astype(np.float32))
    assert np.array_equal(one.others, two.others)
    assert np.array_equal(one.up, two.up)
    assert np.allclose(np.linalg.norm(one.others, axis=1), 1, atol=1e-6)


def test_one_label_alone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two or more"):
        labels_task(np.zeros((3, 512), np.float32), np.zeros(3, np.int64), np.ones((1, 384), np.float32))
