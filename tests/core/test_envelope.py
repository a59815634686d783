"""Sealed bytes open only unaltered, in their own place, with their own key."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen import envelope
from unseen.envelope import context, derive_key, open_sealed, seal, unwrap_key, wrap_key
from unseen.errors import SealBroken, WrongKey

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
PLACE = context("record", b"collection", 7)

parts = st.lists(st.one_of(st.binary(max_size=8), st.text(max_size=8), st.integers(0, 2**64 - 1)), max_size=4)


@given(st.binary(max_size=300), parts)
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, place: list[bytes | int | str]) -> None:
    sealed = seal(KEY, plaintext, context(*place))
    assert len(sealed) == len(plaintext) + envelope.SEAL_OVERHEAD_BYTES
    assert open_sealed(KEY, sealed, context(*place)) == plaintext


def test_every_altered_bit_is_noticed() -> None:
    sealed = seal(KEY, b"a caption", PLACE)
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            open_sealed(KEY, bytes(altered), PLACE)


def test_every_cut_is_noticed() -> None:
    sealed = seal(KEY, b"a caption", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(KEY, sealed[:length], PLACE)


def test_another_place_or_key_does_not_open() -> None:
    sealed = seal(KEY, b"a caption", PLACE)
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, context("record", b"collection", 8))
    with pytest.raises(SealBroken):
        open_sealed(OTHER_KEY, sealed, PLACE)


def test_same_plaintext_sealed_twice_looks_different() -> None:
    assert seal(KEY, b"same", PLACE) != seal(KEY, b"same", PLACE)


@given(parts, parts)
def test_different_parts_never_give_the_same_context(
    one: list[bytes | int | str], two: list[bytes | int | str]
) -> None:
    typed_one, typed_two = [[(type(part), part) for part in side] for side in (one, two)]
    assert (context(*one) == context(*two)) == (typed_one == typed_two)


def test_derive_key_is_hkdf_sha256_with_empty_salt() -> None:
    extracted = hmac.new(bytes(32), KEY, hashlib.sha256).digest()
    expanded = hmac.new(extracted, b"purpose\x01", hashlib.sha256).digest()
    assert derive_key(KEY, b"purpose") == expanded
    assert derive_key(KEY, b"other purpose") != expanded


def test_wrapped_key_comes_back_only_under_its_master_in_its_place() -> None:
    wrapped = wrap_key(KEY, OTHER_KEY, PLACE)
    assert len(wrapped) == envelope.WRAPPED_KEY_BYTES
    assert unwrap_key(KEY, wrapped, PLACE) == OTHER_KEY
    with pytest.raises(WrongKey):
        unwrap_key(OTHER_KEY, wrapped, PLACE)
    with pytest.raises(SealBroken):
        unwrap_key(KEY, wrapped, context("elsewhere"))


def test_every_altered_byte_of_a_wrapped_key_is_noticed() -> None:
    wrapped = wrap_key(KEY, OTHER_KEY, PLACE)
    for position in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[position] ^= 0x80
        with pytest.raises((SealBroken, WrongKey)):
            unwrap_key(KEY, bytes(altered), PLACE)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(WrongKey):
        seal(bytes(length), b"", b"")


def test_formats_have_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "random_bytes", lambda count: bytes(range(100, 100 + count)))
    everything = seal(KEY, b"plaintext", PLACE) + wrap_key(KEY, OTHER_KEY, PLACE) + derive_key(KEY, b"purpose") + PLACE
    assert hashlib.sha256(everything).hexdigest() == TRIPWIRE


TRIPWIRE = "d941c8ea0b51fef65c1620b883486ebee4ac42c1e9a74f3c35c964e3d05785d4"
