"""Sealing: AES-256-GCM with an authenticated context, key derivation, and keys wrapped by keys.

Both sides use it: the device for records, the server for what it puts on disk. Whoever holds a key reads what it
sealed. Sealed bytes leak their length and nothing else.

    sealed  = version 1 | nonce (12) | ciphertext | tag (16)
    wrapped = version 2 | commitment to the master key (32) | nonce (12) | ciphertext (32) | tag (16)

The context is not stored: it says where the bytes belong, and opening them anywhere else fails. GCM does not bind a
ciphertext to one key, so a wrapped key carries a commitment: it also tells a wrong key from altered bytes. Nonces are
random: one key must seal fewer than 2**32 messages (NIST SP 800-38D, section 8.3).
"""

from __future__ import annotations

import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from unseen.entropy import random_bytes
from unseen.errors import SealBroken, WrongKey

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
COMMITMENT_BYTES = 32
SEAL_OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES
"""What sealing adds to a plaintext."""
WRAPPED_KEY_BYTES = 1 + COMMITMENT_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES

_SEALED = b"\x01"
_WRAPPED = b"\x02"


def context(*parts: bytes | int | str) -> bytes:
    """One unambiguous byte string for where sealed bytes belong; no two lists of parts give the same.

    Each part is a type letter, then its length (4 bytes, little-endian) and its bytes, or 8 bytes for an integer.
    """
    return b"".join(_context_part(part) for part in parts)


def _context_part(part: bytes | int | str) -> bytes:
    if isinstance(part, int):
        return struct.pack("<cQ", b"i", part)
    letter, data = (b"s", part.encode("utf-8")) if isinstance(part, str) else (b"b", part)
    return struct.pack("<cI", letter, len(data)) + data


class SealingKey:
    """A 32-byte key ready for many seals, so that the key schedule is computed once."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_checked(key))

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate ``plaintext`` for one ``context``; SEAL_OVERHEAD_BYTES longer than it."""
        nonce = random_bytes(NONCE_BYTES)
        return _SEALED + nonce + self._cipher.encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed for this ``context``; SealBroken when a byte, the context or the key differs."""
        if len(sealed) < SEAL_OVERHEAD_BYTES or sealed[:1] != _SEALED:
            raise SealBroken(
                f"got {len(sealed)} bytes that are not a seal of version 1 (at least {SEAL_OVERHEAD_BYTES} bytes, "
                "first byte 1); the data was cut or written by another release"
            )
        try:
            return self._cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], context)
        except InvalidTag:
            raise SealBroken(
                "sealed bytes do not open: they were altered, moved to another place, or sealed under another key; "
                "restore them from a backup"
            ) from None


def seal(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt and authenticate ``plaintext`` under a 32-byte ``key`` for one ``context``."""
    return SealingKey(key).seal(plaintext, context)


def open_sealed(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """What ``seal`` was given with the same key and context; SealBroken otherwise."""
    return SealingKey(key).open(sealed, context)


def derive_key(key: bytes, purpose: bytes) -> bytes:
    """A 32-byte key for one ``purpose``, by HKDF-SHA256 (RFC 5869) without salt; other purposes learn nothing of it."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(_checked(key))


def wrap_key(master: bytes, key: bytes, context: bytes) -> bytes:
    """Seal a 32-byte ``key`` under a ``master`` key, with a commitment that names the master without revealing it."""
    head = _WRAPPED + _commitment(master)
    nonce = random_bytes(NONCE_BYTES)
    return head + nonce + _wrapping_cipher(master).encrypt(nonce, _checked(key), head + context)


def unwrap_key(master: bytes, wrapped: bytes, context: bytes) -> bytes:
    """The key that ``wrap_key`` was given; WrongKey for another master, SealBroken for altered bytes or context."""
    if len(wrapped) != WRAPPED_KEY_BYTES or wrapped[:1] != _WRAPPED:
        raise SealBroken(f"got {len(wrapped)} bytes, a wrapped key of version 2 has {WRAPPED_KEY_BYTES}")
    head, rest = wrapped[: 1 + COMMITMENT_BYTES], wrapped[1 + COMMITMENT_BYTES :]
    if not hmac.compare_digest(head[1:], _commitment(master)):
        raise WrongKey("this key was wrapped under another master key; give the master key file it was made with")
    try:
        return _wrapping_cipher(master).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + context)
    except InvalidTag:
        raise SealBroken("a wrapped key was altered or belongs to another place; restore it from a backup") from None


def _commitment(master: bytes) -> bytes:
    return derive_key(master, b"unseen/wrap/commitment")


def _wrapping_cipher(master: bytes) -> AESGCM:
    return AESGCM(derive_key(master, b"unseen/wrap/key"))


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise WrongKey(f"got a key of {len(key)} bytes, keys have {KEY_BYTES}")
    return key
