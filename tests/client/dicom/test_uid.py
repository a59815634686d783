"""What may become a part of a PACS's address: a unique identifier, and nothing that leads elsewhere."""

from __future__ import annotations

import pydicom.uid
import pytest

from unseen_client.dicom.uid import is_uid


def test_numbers_with_dots_between_them_are_one() -> None:
    made = [str(pydicom.uid.generate_uid()) for _ in range(20)]
    assert all(map(is_uid, ["1.2.840.10008.1.1", "2", "1.02.3", *made]))


@pytest.mark.parametrize("text", ["", ".", "1.", ".1", "1..2", "1.2/../3", "1.2\n", "１.2", "1.a", "-1", "1 2"])
def test_everything_else_is_none(text: str) -> None:
    assert not is_uid(text)
