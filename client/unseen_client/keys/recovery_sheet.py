"""The recovery sheet: a collection's key as text that prints and can be typed back, whole or as shares.

Without a passphrase: who reads a whole sheet, or enough shares, has the collection. It belongs in a safe, shares in
several. Fewer shares than it takes say nothing of the key: only for which collection it is, in the words above the
lines.

    a line     number | up to 20 bytes in groups of four letters | checksum of number and bytes, four letters
    the bytes  version 1 | shares needed | shares made | number of this one | share 32 | the key, sealed

The key is sealed under 32 random bytes; a share is Shamir's of these, twice over GF(2^128), 16 bytes each (``Crypto``
of PyCryptodome, extra ``shares``). A whole sheet is share 1 of 1 and holds the 32 bytes themselves. Letters are
Crockford's base 32: no I, L, O, U; either case, and O reads as 0, I and L as 1. A mistyped line is found and named (all
but one in a million).
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unseen import envelope
from unseen.entropy import random_bytes
from unseen.envelope import KEY_BYTES
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput, SealBroken
from unseen.types import UID_BYTES
from unseen_client.keys.keystore import CollectionKey

if TYPE_CHECKING:
    from Crypto.Protocol.SecretSharing import Shamir

TITLE = "Unseen recovery sheet"
VERSION = 1
MOST_SHARES = 16
LINE_BYTES = 20
HALF_BYTES = 16
"""What Shamir's scheme over GF(2^128) takes at a time."""
_HEAD = struct.Struct("<4B")
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_OURS, _TO_STANDARD = str.maketrans(_STANDARD, _LETTERS), str.maketrans(_LETTERS, _STANDARD)
_LOOK_ALIKE = str.maketrans("OIL", "011")
_CHECK_LETTERS = 4
_LINE = re.compile(r"\s*(\d{1,2})(?:\s*[:.])?\s+([0-9A-Za-z][0-9A-Za-z \t-]*)")
_WITH_OWNER_KEY, _KEEPS_VECTORS, _WITH_STORE = 1, 2, 4
_LONGEST = struct.Struct("<d")


@dataclass(frozen=True)
class _Share:
    """One sheet."""

    needed: int
    made: int
    number: int
    share: bytes = field(repr=False)
    box: bytes = field(repr=False)

    @property
    def kind(self) -> tuple[int, int, bytes]:
        """What the sheets of one splitting have in common."""
        return self.needed, self.made, self.box


def is_sheet(data: bytes) -> bool:
    """Whether a file is a sheet, whatever its lines say."""
    return TITLE.encode() in data


def sheets(key: CollectionKey, needed: int = 1, made: int = 1) -> list[str]:
    """The texts of all sheets of one key: one for the whole, or ``made`` shares of which ``needed`` open."""
    if not (needed == made == 1 or 2 <= needed <= made <= MOST_SHARES):
        raise InvalidInput(f"got {needed} of {made} shares; give 2 of 3, at most {MOST_SHARES}, and at least 2 needed")
    opens = random_bytes(KEY_BYTES)
    box = envelope.seal(opens, _packed(key), _context(needed, made))
    shares = [opens] if made == 1 else _split(opens, needed, made)
    return [_text(key, _Share(needed, made, number, share, box)) for number, share in enumerate(shares, 1)]


def key_of(texts: Sequence[str]) -> CollectionKey:
    """The key of a whole sheet or of enough shares.

    InvalidInput when there are too few, or sheets of different splittings; IntegrityError for a mistyped line.
    """
    found = [_read(text) for text in texts]
    by_number = {one.number: one for one in found}
    if len({one.kind for one in found}) != 1:
        raise InvalidInput("these sheets do not belong together; give those of one key and one day")
    first = found[0]
    if len(by_number) < first.needed:
        raise InvalidInput(f"got {len(by_number)} different shares, and it takes {first.needed} of {first.made}")
    chosen = list(by_number.values())[: first.needed]
    opens = first.share if first.made == 1 else _combined(chosen)
    try:
        return _unpacked(envelope.open_sealed(opens, first.box, _context(first.needed, first.made)))
    except (SealBroken, ValueError, InvalidInput) as error:
        raise IntegrityError("the sheets do not open: one of them is not what was printed; compare them") from error


# The text


def _text(key: CollectionKey, share: _Share) -> str:
    if share.made == 1:
        words = "Whoever reads this sheet has the collection. Keep it in a safe."
    else:
        words = (
            f"Share {share.number} of {share.made}; any {share.needed} of them open the collection. Keep them apart."
        )
    data = _HEAD.pack(VERSION, share.needed, share.made, share.number) + share.share + share.box
    parts = [data[start : start + LINE_BYTES] for start in range(0, len(data), LINE_BYTES)]
    lines = [f"{number:2}  {_line(number, part)}" for number, part in enumerate(parts, 1)]
    return "\n".join(
        [
            TITLE,
            "",
            f"Collection {key.name}, key {key.key_id}.",
            words,
            "To use it: type the numbered lines into a file below the title, then  unseen keys import FILE",
            "The last four letters of a line check the others. There is no letter I, L, O or U.",
            "",
            *lines,
            f"    {len(lines)} lines",
            "",
        ]
    )


def _line(number: int, data: bytes) -> str:
    letters = _encoded(data)
    groups = [letters[start : start + 4] for start in range(0, len(letters), 4)]
    return " ".join([*groups, _check(number, data)])


def _read(text: str) -> _Share:
    lines = [match for line in text.splitlines() if (match := _LINE.fullmatch(line)) and TITLE not in line]
    numbered = [(int(match[1]), re.sub(r"[\s-]", "", match[2]).upper()) for match in lines]
    numbered = [(number, letters) for number, letters in numbered if letters != "LINES"]
    data = b""
    for expected, (number, letters) in enumerate(numbered, 1):
        if number != expected:
            raise IntegrityError(f"line {expected} of the sheet is missing: after {expected - 1} comes {number}")
        data += _decoded(number, letters)
    if len(data) <= _HEAD.size + KEY_BYTES:
        raise IntegrityError("this is no whole recovery sheet; type every numbered line")
    version, needed, made, number = _HEAD.unpack_from(data)
    if version != VERSION or not 1 <= number <= made <= MOST_SHARES or not 1 <= needed <= made:
        raise IntegrityError("this recovery sheet is of a newer release of Unseen; use that one")
    share_end = _HEAD.size + KEY_BYTES
    return _Share(needed, made, number, data[_HEAD.size : share_end], data[share_end:])


def _encoded(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").translate(_TO_OURS)


def _decoded(number: int, letters: str) -> bytes:
    letters = letters.translate(_LOOK_ALIKE)
    standard = letters[:-_CHECK_LETTERS].translate(_TO_STANDARD)
    try:
        data = base64.b32decode(standard + "=" * (-len(standard) % 8))
    except ValueError:
        data = b""
    # Written again: there is no letter U, and a last letter may hold bits that no byte takes.
    if not data or len(data) > LINE_BYTES or letters != _encoded(data) + _check(number, data):
        raise IntegrityError(f"line {number} of the sheet is mistyped; compare it letter by letter")
    return data


def _check(number: int, data: bytes) -> str:
    return _encoded(hashlib.sha256(b"unseen sheet line" + bytes([number]) + data).digest())[:_CHECK_LETTERS]


# The key in few bytes


def _packed(key: CollectionKey) -> bytes:
    flags = (
        (_WITH_OWNER_KEY if key.owner_key else 0)
        | (_KEEPS_VECTORS if key.keep_vectors else 0)
        | (_WITH_STORE if key.store_uid else 0)
    )
    metric = key.metric.encode()
    parts = [bytes([flags]), key.collection_uid, key.store_uid or b"", key.record_key, key.owner_key or b""]
    return b"".join([*parts, bytes([len(metric)]), metric, _LONGEST.pack(key.longest), key.name.encode()])


def _unpacked(data: bytes) -> CollectionKey:
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        if at > len(data):
            raise ValueError("cut")
        return data[at - count : at]

    flags = take(1)[0]
    collection_uid = take(UID_BYTES)
    store_uid = take(UID_BYTES) if flags & _WITH_STORE else None
    record_key = take(KEY_BYTES)
    owner_key = take(KEY_BYTES) if flags & _WITH_OWNER_KEY else None
    metric = take(take(1)[0]).decode()
    (longest,) = _LONGEST.unpack(take(_LONGEST.size))
    name, keeps = data[at:].decode(), bool(flags & _KEEPS_VECTORS)
    return CollectionKey(collection_uid, name, record_key, keeps, store_uid, metric, longest, owner_key)


def _context(needed: int, made: int) -> bytes:
    return envelope.context("recovery sheet", VERSION, needed, made)


# Shares


def _split(secret: bytes, needed: int, made: int) -> list[bytes]:
    """Shares 1 to ``made`` (A. Shamir, "How to share a secret", 1979), 32 bytes each."""
    shamir = _shamir()
    halves = [dict(shamir.split(needed, made, secret[at : at + HALF_BYTES])) for at in (0, HALF_BYTES)]
    return [halves[0][number] + halves[1][number] for number in range(1, made + 1)]


def _combined(shares: Sequence[_Share]) -> bytes:
    shamir = _shamir()
    parts = ([(one.number, one.share[at : at + HALF_BYTES]) for one in shares] for at in (0, HALF_BYTES))
    return b"".join(bytes(shamir.combine(part)) for part in parts)


def _shamir() -> type[Shamir]:
    try:
        from Crypto.Protocol.SecretSharing import Shamir
    except ImportError as error:
        raise InvalidConfiguration("shares need the package pycryptodome: pip install 'unseen[shares]'") from error
    return Shamir
