"""Randomness comes from the operating system, in the length asked for, and never twice the same."""

from unseen.entropy import random_bytes, random_uid
from unseen.types import UID_BYTES


def test_random_bytes_have_the_length_asked_for() -> None:
    assert [len(random_bytes(count)) for count in (0, 1, 12, 64)] == [0, 1, 12, 64]


def test_thousand_uids_are_all_different_and_sixteen_bytes() -> None:
    uids = {random_uid() for _ in range(1000)}
    assert len(uids) == 1000
    assert {len(uid) for uid in uids} == {UID_BYTES}
