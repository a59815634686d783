"""Published vectors through our own code: Project Wycheproof, NIST's CAVS, RFC 5869 and RFC 7914. All of them, counted.

Our sealing takes 32-byte keys, 12-byte nonces and 16-byte tags only, and our key derivation 32-byte keys without salt.
A vector of that shape must come out as it is published; one of another shape must be refused, never read as something
else. So every vector is run, and the counts below say how many there are of each.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest

from unseen import envelope, signature
from unseen.envelope import KEY_BYTES, NONCE_BYTES, TAG_BYTES, SealingKey, derive_key
from unseen.errors import ProofBroken, SealBroken, WrongKey
from unseen_server.keys import passphrase_file

WYCHEPROOF = Path(__file__).parent / "wycheproof"
NIST = Path(cryptography_vectors.__file__).parent


@dataclass(frozen=True)
class Aead:
    """One vector of AES-GCM; ``plaintext`` is None where nothing may open."""

    key: bytes
    nonce: bytes
    context: bytes
    sealed: bytes
    tag: bytes
    plaintext: bytes | None

    @property
    def is_ours(self) -> bool:
        return (len(self.key), len(self.nonce), len(self.tag)) == (KEY_BYTES, NONCE_BYTES, TAG_BYTES)


def wycheproof(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Group and test."""
    for group in json.loads((WYCHEPROOF / f"{name}_test.json").read_text())["testGroups"]:
        for test in group["tests"]:
            yield group, test


def wycheproof_aead() -> Iterator[Aead]:
    for _, test in wycheproof("aes_gcm"):
        key, nonce, place, sealed, tag = (bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "ct", "tag"))
        yield Aead(key, nonce, place, sealed, tag, bytes.fromhex(test["msg"]) if test["result"] == "valid" else None)


def cavs(name: str) -> Iterator[dict[str, str]]:
    """The records of a file of NIST's CAVS (*.rsp): one for each Count, lines without a value as keys."""
    record: dict[str, str] = {}
    for line in (NIST / "ciphers/AES/GCM" / name).read_text().splitlines():
        left, _, right = (part.strip() for part in line.partition("="))
        if left == "Count" or not left or left.startswith(("#", "[")):
            if record.keys() > {"Count"}:
                yield record
            record = {}
        if left and not left.startswith(("#", "[")):
            record[left] = right
    if record.keys() > {"Count"}:
        yield record


def nist_aead(kind: str) -> Iterator[Aead]:
    for bits in (128, 192, 256):
        for record in cavs(f"gcm{kind}{bits}.rsp"):
            key, nonce, place, sealed, tag = (bytes.fromhex(record[part]) for part in ("Key", "IV", "AAD", "CT", "Tag"))
            yield Aead(key, nonce, place, sealed, tag, None if "FAIL" in record else bytes.fromhex(record["PT"]))


def sealing_outcome(vector: Aead, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run one vector; the outcome's name, an AssertionError when it is not as published."""
    sealed = b"\x01" + vector.nonce + vector.sealed + vector.tag
    if len(vector.key) != KEY_BYTES:
        with pytest.raises(WrongKey):
            SealingKey(vector.key)
        return "key of another length refused"
    key = SealingKey(vector.key)
    if vector.plaintext is None or not vector.is_ours:
        with pytest.raises(SealBroken):
            key.open(sealed, vector.context)
        return "forgery refused" if vector.is_ours else "nonce or tag of another length refused"
    assert key.open(sealed, vector.context) == vector.plaintext
    monkeypatch.setattr(envelope, "random_bytes", lambda _: vector.nonce)
    assert key.seal(vector.plaintext, vector.context) == sealed
    return "sealed and opened as published"


def tell(origin: str, counted: Counter[str]) -> None:
    """What ``pytest -rP`` shows: docs/evidence.md has it."""
    print(
        f"{origin}: {counted.total():,} vectors; " + ", ".join(f"{count:,} {what}" for what, count in counted.items())
    )


def test_every_vector_of_wycheproof_for_aes_gcm(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counter(sealing_outcome(vector, monkeypatch) for vector in wycheproof_aead())
    assert counted == {
        "sealed and opened as published": 39,
        "forgery refused": 27,
        "nonce or tag of another length refused": 39,
        "key of another length refused": 211,
    }
    assert counted.total() == 316
    tell("Wycheproof, AES-GCM", counted)


@pytest.mark.parametrize("kind", ["EncryptExtIV", "Decrypt"])
def test_every_vector_of_nist_for_aes_gcm(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    counted = Counter(sealing_outcome(vector, monkeypatch) for vector in nist_aead(kind))
    assert counted == NIST_COUNTS[kind]
    assert counted.total() == 3 * 7875
    tell(f"NIST CAVS, AES-GCM, {kind}", counted)


NIST_COUNTS = {
    "EncryptExtIV": {
        "sealed and opened as published": 375,
        "nonce or tag of another length refused": 7500,
        "key of another length refused": 15750,
    },
    "Decrypt": {
        "sealed and opened as published": 184,
        "forgery refused": 191,
        "nonce or tag of another length refused": 7500,
        "key of another length refused": 15750,
    },
}


# Key derivation


@dataclass(frozen=True)
class Derivation:
    """One vector of HKDF-SHA256."""

    key: bytes
    salt: bytes
    purpose: bytes
    derived: bytes


def wycheproof_derivations() -> Iterator[Derivation]:
    for _, test in wycheproof("hkdf_sha256"):
        yield Derivation(*(bytes.fromhex(test[name]) for name in ("ikm", "salt", "info", "okm")))


def rfc_5869_derivations() -> Iterator[Derivation]:
    record: dict[str, str] = {}
    for line in (NIST / "KDF/rfc-5869-HKDF-SHA256.txt").read_text().splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        record[name] = value
        if name == "OKM":
            yield Derivation(*(bytes.fromhex(record[part]) for part in ("IKM", "salt", "info", "OKM")))


def derivation_outcome(vector: Derivation) -> str:
    if len(vector.key) != KEY_BYTES:
        with pytest.raises(WrongKey):
            derive_key(vector.key, vector.purpose)
        return "key of another length refused"
    if any(vector.salt):  # a salt of zeros is no salt: RFC 5869, section 2.2
        assert derive_key(vector.key, vector.purpose) != vector.derived[:KEY_BYTES]
        return "salted, which ours never is"
    # HKDF gives the same bytes first, however many are asked for (RFC 5869, section 2.3).
    length = min(KEY_BYTES, len(vector.derived))
    assert derive_key(vector.key, vector.purpose)[:length] == vector.derived[:length]
    return "derived as published"


def test_every_vector_of_wycheproof_and_rfc_5869_for_hkdf() -> None:
    counted = Counter(map(derivation_outcome, wycheproof_derivations()))
    assert counted == {
        "derived as published": 9,
        "salted, which ours never is": 28,
        "key of another length refused": 49,
    }
    assert counted.total() == 86
    tell("Wycheproof, HKDF-SHA256", counted)
    assert Counter(map(derivation_outcome, rfc_5869_derivations())) == {"key of another length refused": 3}


def test_rfc_7914_for_the_passphrase_of_a_master_key() -> None:
    """Section 12, the third vector: N = 16384, r = 8, p = 1; of its 64 bytes the first 32 are asked for."""
    stretched = passphrase_file._stretched("pleaseletmein", b"SodiumChloride", 16384)
    assert stretched.hex() == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"


# Signatures


def signature_outcome(group: dict[str, Any], test: dict[str, Any]) -> str:
    key, message, signed = bytes.fromhex(group["publicKey"]["pk"]), *map(bytes.fromhex, (test["msg"], test["sig"]))
    if test["result"] == "valid" or "plus nonidentity torsion" in test["comment"]:
        signature.verify_plain(key, message, signed)
        return "holds" if test["result"] == "valid" else "holds under a key of mixed order"
    with pytest.raises(ProofBroken) as refusal:
        signature.verify_plain(key, message, signed)
    return "key of small order refused" if "small order" in str(refusal.value) else "refused"


def test_every_vector_of_wycheproof_for_ed25519() -> None:
    """Through the check of our own documents and tree heads, after it has put the purpose before them.

    "Acceptable" are signatures under keys of small or mixed order, which RFC 8032 leaves open. We refuse those of small
    order, under which anybody signs. Under a key of mixed order only who holds its private key can.
    """
    counted = Counter(signature_outcome(group, test) for group, test in wycheproof("ed25519"))
    assert counted == {
        "holds": 117,
        "holds under a key of mixed order": 21,
        "key of small order refused": 8,
        "refused": 64,
    }
    assert counted.total() == 210
    tell("Wycheproof, Ed25519", counted)


def test_vectors_are_those_that_were_published() -> None:
    page = (WYCHEPROOF / "README.md").read_text()
    for path in sorted(WYCHEPROOF.glob("*.json")):
        tests = json.loads(path.read_text())["numberOfTests"]
        assert f"| `{path.name}` | {tests} | {hashlib.sha256(path.read_bytes()).hexdigest()} |" in page
