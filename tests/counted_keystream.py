"""The keystream under counted keys instead of fresh ones: as random as ever, but the same on every run."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def counted_keystream() -> Callable[[int], bytes]:
    keys = iter(range(1, 1 << 62))

    def keystream(count: int) -> bytes:
        cipher = Cipher(algorithms.AES256(next(keys).to_bytes(32, "little")), modes.CTR(bytes(16)))
        return cipher.encryptor().update(bytes(count))

    return keystream
