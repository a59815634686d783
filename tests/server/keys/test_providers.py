"""What every kind of master key promises: one suite, run against a file, a passphrase, AWS KMS, a token and Vault."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.folders import contents
from unseen.errors import IntegrityError, KeyServiceFailed, SealBroken, UnseenError, WrongKey
from unseen.keys.provider import KeyProvider
from unseen.keys.ring import KeyRings
from unseen_server.config import Config, from_arguments
from unseen_server.keys import passphrase_file
from unseen_server.keys.choice import KINDS, MasterKeyChoice, open_provider
from unseen_server.storage import open_store

KEY, PLACE = bytes(range(32)), b"where it belongs"
PASSPHRASE = "a passphrase for tests"


@dataclass
class Two:
    """Two master keys of one kind, as --master-key names them."""

    first: str
    second: str
    refusal: type[UnseenError] = WrongKey
    """How another key is told."""

    def open(self, text: str) -> KeyProvider:
        return open_provider(MasterKeyChoice.parse(text), True, lambda _: PASSPHRASE)


@pytest.fixture(params=KINDS)
def two(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    kind = request.param
    monkeypatch.setattr(passphrase_file, "COST", 1 << 10)  # test_passphrase.py pays the whole price
    if kind == "aws-kms":
        make = request.getfixturevalue("make_kms_key")
        # AWS says IncorrectKeyException (test_aws_kms.py), moto AccessDeniedException.
        return Two(f"aws-kms:{make()}", f"aws-kms:{make()}", KeyServiceFailed)
    if kind == "pkcs11":
        uri = request.getfixturevalue("pkcs11_uri")
        return Two(uri("first"), uri("second"))
    if kind == "vault":
        vault = request.getfixturevalue("vault")
        return Two(vault.choice("first"), vault.choice("second"))
    return Two(f"{kind}:{tmp_path / 'first.key'}", f"{kind}:{tmp_path / 'second.key'}")


def test_key_comes_back_under_its_master_in_its_place(two: Two) -> None:
    provider = two.open(two.first)
    wrapped = provider.wrap(KEY, PLACE)
    assert provider.unwrap(wrapped, PLACE) == KEY
    assert two.open(two.first).unwrap(wrapped, PLACE) == KEY
    assert KEY not in wrapped
    assert provider.wrap(KEY, PLACE) != wrapped


def test_another_master_key_is_told_from_the_right_one(two: Two) -> None:
    wrapped = two.open(two.first).wrap(KEY, PLACE)
    with pytest.raises(two.refusal):
        two.open(two.second).unwrap(wrapped, PLACE)


def test_another_place_is_refused(two: Two) -> None:
    provider = two.open(two.first)
    wrapped = provider.wrap(KEY, PLACE)
    with pytest.raises((SealBroken, WrongKey)):
        provider.unwrap(wrapped, b"another place")


def test_altered_bytes_are_refused(two: Two) -> None:
    provider = two.open(two.first)
    wrapped = provider.wrap(KEY, PLACE)
    step = max(1, len(wrapped) // 24)  # a token or service is asked each time
    for position in [*range(0, len(wrapped), step), len(wrapped) - 1]:
        altered = bytearray(wrapped)
        altered[position] ^= 0x01
        with pytest.raises((IntegrityError, two.refusal)):
            provider.unwrap(bytes(altered), PLACE)
    for length in (1, len(wrapped) - 1):
        with pytest.raises((IntegrityError, two.refusal)):
            provider.unwrap(wrapped[:length], PLACE)


def test_key_ring_opens_with_it_and_not_with_the_other(two: Two, tmp_path: Path) -> None:
    uid = bytes(16)
    KeyRings(tmp_path / "rings", two.open(two.first)).make(uid).add_tree(uid)
    assert KeyRings(tmp_path / "rings", two.open(two.first)).open(uid).trees_of(uid)
    with pytest.raises(two.refusal):
        KeyRings(tmp_path / "rings", two.open(two.second)).open(uid)


# The store


def test_store_comes_up_with_it_again_and_refuses_the_other_key_writing_nothing(
    two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UNSEEN_MASTER_PASSPHRASE", PASSPHRASE)
    caplog.set_level(logging.INFO, "unseen_server")

    def config(master_key: str) -> Config:
        folders = ["--data", str(tmp_path / "data"), "--key-ring", str(tmp_path / "ring")]
        return from_arguments([*folders, "--master-key", master_key])

    store = open_store(config(two.first))
    store.append_fact("note", b"", b"what was written down")
    store.close()
    two.open(two.second)
    before = contents(tmp_path)
    with pytest.raises(two.refusal) as refused:
        open_store(config(two.second))
    assert contents(tmp_path) == before
    store = open_store(config(two.first))
    assert [fact.body for fact in store.facts("note")] == [b"what was written down"]
    store.close()
    said = str(refused.value) + "".join(record.getMessage() for record in caplog.records if "unseen" in record.name)
    for secret in ("hvs.canary", "secret-canary", "secret-pin", PASSPHRASE):
        assert secret not in said
    if not two.first.startswith(("file:", "passphrase:")):
        assert two.first.partition(":")[2] not in said, "an address of keys is nobody's business"
