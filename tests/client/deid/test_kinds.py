from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from unseen_client.decode_child import FORMATS
from unseen_client.deid.kinds import HEAD_BYTES, Kind, kind_of


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_that_the_decoder_takes_is_a_photograph(kind: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    assert kind_of(buffer.getvalue()[:HEAD_BYTES]) is Kind.PHOTO


def test_dicom_is_told_by_its_letters_even_behind_a_tiff() -> None:
    assert kind_of(bytes(128) + b"DICM") is Kind.DICOM
    assert kind_of(b"II*\0" + bytes(124) + b"DICM") is Kind.DICOM
    assert kind_of(bytes(127) + b"DICM") is Kind.OTHER


@pytest.mark.parametrize("head", [b"", b"hello", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", b"PK\3\4"])
def test_anything_else_is_neither(head: bytes) -> None:
    assert kind_of(head) is Kind.OTHER
