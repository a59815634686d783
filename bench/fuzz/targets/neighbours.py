"""What other programs beside this one send: requests to the gateway, and answers of a language model."""

from __future__ import annotations

import json

from bench.fuzz.target import Target, as_text
from unseen.errors import InvalidInput, MalformedMessage
from unseen_client.describing import endpoint, rewrite
from unseen_client.gateway import rest, stow


def asked(data: bytes) -> None:
    assert isinstance(rest.read_fields(data), dict)


def stored(data: bytes) -> None:
    """The media type stands on the first line."""
    media_type, _, body = data.partition(b"\n")
    parts = stow.parts_of(media_type.decode("latin-1"), body)
    assert 0 < len(parts) <= stow.MOST_PARTS


def said(data: bytes) -> None:
    assert isinstance(endpoint._said(data), str)


def taken_apart(data: bytes) -> None:
    parts = rewrite._parts(as_text(data))
    assert any(weight > 0 for _, weight in parts)


SIMILAR = json.dumps({"study": "1.2.840.99", "reason": "a second reading", "top_k": 5}).encode()
POSTED = (
    b'multipart/related; type="application/dicom"; boundary=next\n'
    b"--next\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--next\r\n\r\nmore\r\n--next--\r\n"
)
WEIGHTED = json.dumps({"parts": [{"words": "a red car", "weight": 1.0}, {"words": "the sea", "weight": -0.5}]})
ANSWER = json.dumps({"choices": [{"message": {"role": "assistant", "content": WEIGHTED}}]}).encode()

TARGETS = (
    Target("client.gateway.rest.read_fields", asked, (InvalidInput,), (SIMILAR,), is_json=True),
    Target("client.gateway.stow.parts_of", stored, (InvalidInput,), (POSTED,)),
    Target("client.describing.endpoint.said", said, (MalformedMessage,), (ANSWER,), is_json=True),
    Target(
        "client.describing.rewrite.parts",
        taken_apart,
        (MalformedMessage,),
        (WEIGHTED.encode(), f"```json\n{WEIGHTED}\n```".encode()),
        is_json=True,
    ),
)
