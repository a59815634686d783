"""A signed tree head: how many leaves a log has and their root, in one text that anybody can check and hand on.

The text is a C2SP checkpoint (https://c2sp.org/tlog-checkpoint) inside a signed note (https://c2sp.org/signed-note), so
that witnesses that others run can co-sign it without knowing Unseen:

    <origin>                            names the log
    <size>
    <root, base64>
                                        an empty line
    — <origin> <4 bytes of key hash and the Ed25519 signature, base64>

It says how much has happened in a log, never what. The private key stays in the server.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unseen.audit.tree import HASH_BYTES
from unseen.errors import ProofBroken
from unseen.signature import verify_plain

ED25519 = b"\x01"
"""The signature type of signed notes."""
KEY_HASH_BYTES = 4
MOST_HEAD_BYTES = 4096
"""Our own heads have 250; witnesses' signatures add 150 each."""
MOST_LEAVES = 1 << 62


@dataclass(frozen=True)
class TreeHead:
    """What a log was at one moment."""

    origin: str
    """Names the log; no spaces, no '+', one line."""
    size: int
    root: bytes

    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{_text(self.root)}\n"


def key_hash(name: str, public_key: bytes) -> bytes:
    """The four bytes by which a signature line names its key."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:KEY_HASH_BYTES]


def sign_head(head: TreeHead, private_key: Ed25519PrivateKey) -> str:
    """A head as a signed note."""
    return sign_note(head.body(), head.origin, private_key)


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """A text with a signature line under it, as https://c2sp.org/signed-note has it."""
    signature = key_hash(name, private_key.public_key().public_bytes_raw()) + private_key.sign(text.encode())
    return f"{text}\n— {name} {_text(signature)}\n"


def open_head(note: str, origin: str, public_keys: Iterable[bytes]) -> TreeHead:
    """The head that one of these keys signed for this log; ProofBroken when none did, or another log is meant."""
    head, body, signatures = _parsed(note)
    if head.origin != origin:
        raise ProofBroken("a tree head belongs to another log than the one that was asked for")
    for public_key in public_keys:
        wanted = key_hash(origin, public_key)
        for name, signature in signatures:
            if name == origin and hmac.compare_digest(signature[:KEY_HASH_BYTES], wanted):
                verify_plain(public_key, body.encode(), signature[KEY_HASH_BYTES:])
                return head
    raise ProofBroken("a tree head carries no signature of a key that this log is known by")


def origin_of(note: str) -> str:
    """Which log a head says that it belongs to; nothing is checked but its form."""
    return _parsed(note)[0].origin


def _parsed(note: str) -> tuple[TreeHead, str, list[tuple[str, bytes]]]:
    body, separator, rest = note.partition("\n\n")
    lines = body.split("\n")
    if len(note) > MOST_HEAD_BYTES or not _is_text(note) or not separator or len(lines) < 3 or not rest.endswith("\n"):
        raise _not_a_head()
    signatures = [_signature(line) for line in rest[:-1].split("\n")]
    return TreeHead(_origin(lines[0]), _size(lines[1]), _root(lines[2])), body + "\n", signatures


def _origin(line: str) -> str:
    if not line or any(character.isspace() or character == "+" for character in line):
        raise _not_a_head()
    return line


def _size(line: str) -> int:
    if not line.isascii() or not line.isdigit() or (len(line) > 1 and line[0] == "0") or len(line) > 19:
        raise _not_a_head()
    size = int(line)
    if size > MOST_LEAVES:
        raise _not_a_head()
    return size


def _root(line: str) -> bytes:
    root = _bytes(line)
    if len(root) != HASH_BYTES:
        raise _not_a_head()
    return root


def _signature(line: str) -> tuple[str, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, signature = rest.partition(" ")
    if dash != "—" or not name:
        raise _not_a_head()
    return name, _bytes(signature)


def _is_text(note: str) -> bool:
    """Whether it can be written as UTF-8: JSON can name halves of characters, which are none."""
    try:
        note.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _not_a_head() from None


def _not_a_head() -> ProofBroken:
    return ProofBroken("got something that is not a signed tree head (docs/formats.md, Audit log)")
