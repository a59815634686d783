"""Public keys that prove nothing are refused: of small order, spelled twice, of another length.

Known answers: the eight points as Project Wycheproof lists them. Their slower twin: the group law of RFC 8032,
section 5.1.4, on whole numbers.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from unseen.audit.head import TreeHead, key_hash, open_head
from unseen.errors import InvalidConfiguration, InvalidInput, ProofBroken
from unseen.governance.canonical import Json, canonical_bytes
from unseen.governance.signed import Signed
from unseen.signature import require_sound_key, signed_bytes, verify_plain, verify_signature
from unseen_server.access.signed_tokens import read_keys

PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME
SQUARE_ROOT_OF_MINUS_1 = pow(2, (PRIME - 1) // 4, PRIME)
LARGE_ORDER = 2**252 + 27742317777372353535851937790883648493
BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
Point = tuple[int, int]

SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)
SECOND_SPELLINGS = (
    *((y + PRIME | sign << 255).to_bytes(32, "little").hex() for y in range(19) for sign in (0, 1)),
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
"""y of the prime and above, and minus zero for x: other bytes for points that have some."""
IDENTITY_SIGNATURE = bytes.fromhex(SMALL_ORDER[0]) + bytes(32)
"""R the neutral point, S zero: holds for every message under the first of the keys."""


def add(one: Point, other: Point) -> Point:
    """RFC 8032, section 5.1.4, without its projective form."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % PRIME
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME)
    return x % PRIME, y % PRIME


def times(factor: int, point: Point) -> Point:
    total: Point = (0, 1)
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def to_bytes(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def from_bytes(data: bytes) -> Point:
    """RFC 8032, section 5.1.3; fails for what is no point."""
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * SQUARE_ROOT_OF_MINUS_1 % PRIME
    assert x * x % PRIME == square
    return (PRIME - x if x & 1 != data[31] >> 7 else x), y


def is_refused(key: bytes) -> bool:
    try:
        require_sound_key(key)
    except InvalidInput:
        return True
    return False


def test_the_eight_points_are_those_that_the_group_law_gives() -> None:
    points = [from_bytes(bytes.fromhex(key)) for key in SMALL_ORDER]
    assert len(set(points)) == 8
    assert all(times(8, point) == (0, 1) for point in points)
    assert {add(one, other) for one in points for other in points} == set(points)
    assert times(LARGE_ORDER, BASE) == (0, 1)


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_of_small_order_signs_nothing(key: str) -> None:
    with pytest.raises(InvalidInput, match="small order"):
        require_sound_key(bytes.fromhex(key))
    with pytest.raises(ProofBroken, match="small order"):
        verify_signature(bytes.fromhex(key), "policy", b"body", IDENTITY_SIGNATURE)


def test_the_signature_that_fits_every_message_would_hold_without_that() -> None:
    for message in (b"one", b"another"):
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(SMALL_ORDER[0])).verify(IDENTITY_SIGNATURE, message)


@pytest.mark.parametrize("key", SECOND_SPELLINGS)
def test_a_second_spelling_of_a_key_is_refused(key: str) -> None:
    with pytest.raises(ProofBroken, match=r"spelled|small order"):
        verify_plain(bytes.fromhex(key), b"body", bytes(64))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert is_refused(bytes(length))


@given(st.integers(1, LARGE_ORDER - 1))
def test_a_point_of_large_order_is_taken_whatever_small_one_was_added(factor: int) -> None:
    point = times(factor, BASE)
    assert not is_refused(to_bytes(point))
    for small in SMALL_ORDER:
        moved = add(point, from_bytes(bytes.fromhex(small)))
        assert times(8, moved) != (0, 1)
        assert not is_refused(to_bytes(moved))


@given(st.binary(min_size=32, max_size=32))
def test_a_key_that_was_made_is_taken_and_what_it_signs_holds(secret: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public = key.public_key().public_bytes_raw()
    assert not is_refused(public)
    verify_signature(public, "policy", b"body", key.sign(signed_bytes("policy", b"body")))


def test_no_document_and_no_tree_head_rests_on_such_a_key() -> None:
    key = bytes.fromhex(SMALL_ORDER[0])
    forged: dict[str, Json] = {"document": {"a": 1}, "public_key": key.hex(), "signature": IDENTITY_SIGNATURE.hex()}
    with pytest.raises(ProofBroken, match="small order"):
        Signed.from_bytes("policy", canonical_bytes(forged))
    head = TreeHead("log.example/tenant", 1, bytes(32))
    line = base64.b64encode(key_hash(head.origin, key) + IDENTITY_SIGNATURE).decode()
    with pytest.raises(ProofBroken, match="small order"):
        open_head(f"{head.body()}\n— {head.origin} {line}\n", head.origin, [key])


def test_an_issuer_with_such_a_key_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    point = base64.urlsafe_b64encode(bytes.fromhex(SMALL_ORDER[1])).rstrip(b"=").decode()
    file.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": point}]}))
    with pytest.raises(InvalidConfiguration, match="small order"):
        read_keys(file)
