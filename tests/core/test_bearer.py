"""Bearer tokens: what they look like, that every one reads back, and that none of it gets into words."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.bearer import PREFIX, TEXT_LENGTH, BearerToken, draw_secret, life_s, secret_hash, token_uid
from unseen.errors import InvalidInput, NotAuthenticated

KNOWN = BearerToken(bytes(range(16)), bytes(range(16, 48)))


def test_written_form_is_fixed() -> None:
    """A tripwire: tokens that people hold must go on being read."""
    assert KNOWN.text() == "unseen_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
    assert len(KNOWN.text()) == TEXT_LENGTH == 71
    assert secret_hash(KNOWN.secret) == hashlib.sha256(b"unseen token\x00" + bytes(range(16, 48))).digest()


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_every_token_reads_back(uid: bytes, secret: bytes) -> None:
    token = BearerToken(uid, secret)
    assert BearerToken.parse(token.text()) == token
    assert token.matches(secret_hash(secret))


@given(st.text(max_size=100) | st.text(alphabet="unseen_AZaz09-=+/", min_size=60, max_size=80))
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    try:
        token = BearerToken.parse(text)
    except NotAuthenticated as error:
        assert len(text) < 9 or text not in str(error)
    else:
        assert token.text() == text, "the one written form"


def test_only_the_secret_itself_matches() -> None:
    hashed = secret_hash(KNOWN.secret)
    for at in range(32):
        altered = bytearray(KNOWN.secret)
        altered[at] ^= 1
        assert not BearerToken(KNOWN.uid, bytes(altered)).matches(hashed)
    assert not KNOWN.matches(bytes(32))
    assert not KNOWN.matches(b"")


def test_secret_stands_in_no_repr() -> None:
    assert repr(KNOWN.secret) not in repr(KNOWN)
    assert KNOWN.text().removeprefix(PREFIX)[22:] not in repr(KNOWN)


def test_secrets_are_drawn_and_differ() -> None:
    drawn = {draw_secret() for _ in range(100)}
    assert len(drawn) == 100
    assert {len(secret) for secret in drawn} == {32}, "256 bits"


@pytest.mark.parametrize(("text", "seconds"), [("90d", 7776000), ("12h", 43200), ("30min", 1800), ("1d", 86400)])
def test_lives_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert life_s(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5h", "1w", "90 d", "9999999d", "90d\n"])
def test_other_lives_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="90d, 12h"):
        life_s(text)


@given(st.binary(min_size=16, max_size=16))
def test_a_uid_is_read_as_lists_show_it(uid: bytes) -> None:
    assert token_uid(uid.hex()) == uid


@pytest.mark.parametrize("text", ["", "0g" * 16, "g" * 32, "00" * 15, "00" * 17, "unseen_"])
def test_what_is_no_uid_is_refused_by_its_length_alone(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"got {len(text)} characters that are no uid of a token, expected 32 hex"):
        token_uid(text)
