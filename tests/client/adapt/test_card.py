"""The words on an adapter's card follow from its epsilon: what is not private is not called so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unseen_client.adapt.card import card_fields, card_json, card_page
from unseen_client.adapt.course import Outcome
from unseen_client.adapt.task import Lesson

OUTCOME = Outcome(np.zeros((3, 512), np.float32), 0.3, 0.6, 200, stopped_early=False)


@pytest.mark.parametrize(("epsilon", "is_private"), [(1.0, True), (8.0, True), (8.5, False), (16.0, False)])
def test_above_an_epsilon_of_8_a_card_says_noise_hardening_and_promises_nothing(plan, epsilon, is_private) -> None:
    planned = replace(plan(), epsilon=epsilon)
    page = card_page("m", card_json(card_fields(Lesson.LABELS, "birds", ("a", "b"), planned, OUTCOME)))
    assert f"({epsilon:g}, 1e-05)-differential privacy" in page
    assert ("noise hardening, not privacy" in page) is not is_private
    assert (f"at most exp({epsilon:g}) times as likely" in page) is is_private
