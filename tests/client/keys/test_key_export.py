"""Key exports: open with their passphrase only, say what is wrong otherwise, and never take much memory."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from dataclasses import replace

import pytest

from unseen import envelope
from unseen.errors import IntegrityError, InvalidInput, WrongKey
from unseen_client.keys.key_export import export_key, import_key, unwrap, wrap
from unseen_client.keys.keystore import CollectionKey
from unseen_client.keys.passphrase import Stretching

KEY = CollectionKey(bytes(range(16)), "photos", bytes(range(32)), keep_vectors=False)
CHEAP = 1 << 4
"""A scrypt cost for tests: what is tested does not depend on it."""


def altered(data, **fields):
    return json.dumps({**json.loads(data), **fields}).encode()


@pytest.fixture
def exported():
    return wrap(KEY, "correct horse", Stretching(bytes(16), CHEAP))


def test_an_export_opens_with_its_passphrase_only(exported):
    assert unwrap(exported, "correct horse") == KEY
    with pytest.raises(WrongKey, match="passphrase"):
        unwrap(exported, "correct horsf")


def test_an_export_of_the_first_format_still_opens(exported):
    """Keys made before the store was kept: nothing of them changes on the way."""
    newer = replace(KEY, store_uid=bytes(range(16, 32)))
    assert (unwrap(exported, "correct horse").store_uid, KEY.to_json()["format"]) == (None, "unseen-record-key-1")
    assert unwrap(wrap(newer, "correct horse", Stretching(bytes(16), CHEAP)), "correct horse") == newer
    assert newer.to_json()["format"] == "unseen-record-key-2"


def test_the_file_is_private_opens_elsewhere_and_is_never_written_over(tmp_path):
    path = tmp_path / "photos.unseen-key"
    export_key(KEY, path, "correct horse")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert import_key(path, "correct horse") == KEY
    assert json.loads(path.read_bytes())["scrypt"]["n"] == 1 << 17
    with pytest.raises(InvalidInput, match="exists"):
        export_key(KEY, path, "correct horse")


def test_a_short_passphrase_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="at least 8"):
        export_key(KEY, tmp_path / "key", "1234567")
    assert not (tmp_path / "key").exists()


def test_nothing_of_the_key_can_be_read_from_the_file(exported):
    assert KEY.record_key.hex().encode() not in exported
    assert base64.b64encode(KEY.record_key) not in exported
    assert b"photos" not in exported


def test_known_answer_by_the_standard_library():
    """The key that opens an export is hashlib's scrypt of the passphrase: another language can do the same."""
    fields = json.loads(wrap(KEY, "correct horse", Stretching(bytes(range(16)), 1 << 8)))
    assert fields["scrypt"] == {"n": 256, "r": 8, "p": 1, "salt": "AAECAwQFBgcICQoLDA0ODw=="}
    key = hashlib.scrypt(b"correct horse", salt=bytes(range(16)), n=256, r=8, p=1, dklen=32)
    assert key.hex()[:16] == "5bab97167b5a4142"
    plain = envelope.open_sealed(
        key, base64.b64decode(fields["sealed"]), envelope.context("key-export", "unseen-key-export-1")
    )
    assert json.loads(plain)["record_key"] == base64.b64encode(KEY.record_key).decode()


@pytest.mark.parametrize("damage", [b"", b"\xff", b"[]", b'{"format": "unseen-key-export-2"}', b'{"format": 7}'])
def test_another_file_is_said_to_be_one(damage):
    with pytest.raises(IntegrityError, match="key export"):
        unwrap(damage, "correct horse")


@pytest.mark.parametrize("cost", [0, 1, 3, 1 << 21, -4])
def test_a_file_cannot_ask_for_more_memory_than_a_gibibyte(exported, cost):
    scrypt = json.loads(exported)["scrypt"]
    with pytest.raises(IntegrityError, match="cost"):
        unwrap(altered(exported, scrypt={**scrypt, "n": cost}), "correct horse")


@pytest.mark.parametrize("fields", [{"sealed": "???"}, {"sealed": "AAAA"}, {"sealed": ""}])
def test_a_damaged_export_does_not_open(exported, fields):
    with pytest.raises((IntegrityError, WrongKey)):
        unwrap(altered(exported, **fields), "correct horse")


def test_a_file_too_large_to_be_an_export_is_not_read(tmp_path):
    (tmp_path / "big").write_bytes(bytes(70_000))
    with pytest.raises(IntegrityError, match="larger"):
        import_key(tmp_path / "big", "correct horse")
    with pytest.raises(InvalidInput, match="cannot read"):
        import_key(tmp_path / "absent", "correct horse")
