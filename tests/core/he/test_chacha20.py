"""Promises of ``unseen.he.chacha20``: the published stream, lane by lane, and no key twice."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.chacha20 import COUNTER, STATE_WORDS, fill_piece, fresh_state, state_of
from unseen.he.lanes import LANES


@nb.njit(nogil=True)
def _fill(state, counter, out):
    fill_piece(np.uint64(state.ctypes.data), np.uint32(counter), np.uint64(out.ctypes.data))


def piece(state: np.ndarray, counter: int) -> bytes:
    """Sixteen blocks of the stream, in the order of the stream."""
    out = np.zeros((STATE_WORDS, LANES), np.uint32)
    _fill(state, counter, out)
    return out.T.tobytes()


def test_block_of_rfc_8439_section_2_3_2() -> None:
    state = state_of(bytes(range(32)))
    state[COUNTER + 1 :] = np.frombuffer(bytes.fromhex("000000090000004a00000000"), "<u4")
    assert piece(state, 1)[:64] == bytes.fromhex(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )


@settings(max_examples=50, deadline=None)
@given(key=st.binary(min_size=32, max_size=32), counter=st.integers(0, (1 << 32) - LANES))
def test_stream_agrees_with_the_cryptography_package(key: bytes, counter: int) -> None:
    theirs = Cipher(algorithms.ChaCha20(key, counter.to_bytes(4, "little") + bytes(12)), None).encryptor()
    assert piece(state_of(key), counter) == theirs.update(bytes(1024))


def test_every_fresh_state_has_a_key_of_its_own() -> None:
    assert len({fresh_state().tobytes() for _ in range(100)}) == 100


@pytest.mark.parametrize("length", [0, 31, 33])
def test_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        state_of(bytes(length))
