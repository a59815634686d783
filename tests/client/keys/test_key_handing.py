"""Keys on their way to another device or to paper and back: bound to where they belong, and every mistake found."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hpke

from unseen.errors import IntegrityError, InvalidInput, WrongKey
from unseen_client.keys import recovery_sheet, shared_key
from unseen_client.keys.device_key import DevicePublicKey, device_key
from unseen_client.keys.keystore import CollectionKey
from unseen_client.keys.recovery_sheet import key_of, sheets
from unseen_client.keys.shared_key import accept_key, share_key
from unseen_client.keys.vault import Vault

UID, STORE = bytes(range(16)), bytes(range(16, 32))
KEY = CollectionKey(UID, "secret", bytes(range(32)), True, STORE, owner_key=bytes(range(32, 64)))
KEYS = [
    KEY,
    replace(KEY, owner_key=None, name="a name with ü"),
    CollectionKey(UID, "old", bytes(32), keep_vectors=False),
    replace(KEY, owner_key=None, metric="l2", longest=12.5),
]


@pytest.fixture
def mine(tmp_path):
    return device_key(tmp_path / "mine", Vault(tmp_path / "mine"))


def accepted(data, device, tmp_path):
    path = tmp_path / "shared"
    path.write_bytes(data)
    return accept_key(path, device)


def test_a_shared_key_opens_on_its_device_and_on_no_other(mine, tmp_path):
    other = device_key(tmp_path / "other", Vault(tmp_path / "other"))
    data = share_key(KEY, mine.public)
    assert accepted(data, mine, tmp_path) == KEY
    with pytest.raises(WrongKey, match="wrapped to the device"):
        accepted(data, other, tmp_path)
    renamed = json.dumps(json.loads(data) | {"device": other.public.fingerprint}).encode()
    with pytest.raises(WrongKey, match="altered"):
        accepted(renamed, other, tmp_path)
    assert device_key(tmp_path / "mine", Vault(tmp_path / "mine")).public == mine.public


@pytest.mark.parametrize("field", ["store_uid", "collection_uid", "key_id"])
def test_a_shared_key_is_bound_to_store_collection_and_key(mine, tmp_path, field):
    fields = json.loads(share_key(KEY, mine.public))
    fields[field] = ("0" if fields[field][0] != "0" else "1") + fields[field][1:]
    with pytest.raises(WrongKey):
        accepted(json.dumps(fields).encode(), mine, tmp_path)


def test_a_shared_key_that_holds_another_one_than_it_says_is_refused(mine, tmp_path):
    """Whoever wraps can write anything: what is inside has to be what stands outside."""
    other = replace(KEY, collection_uid=STORE)
    fields = json.loads(share_key(KEY, mine.public))
    info = shared_key._head_of(KEY, mine.public).info
    sealed = mine.public.wrap(json.dumps(other.to_json()).encode(), info)
    fields["sealed"] = base64.b64encode(sealed).decode()
    with pytest.raises(IntegrityError, match="another one than its file says"):
        accepted(json.dumps(fields).encode(), mine, tmp_path)


def test_what_is_wrapped_is_hpke_as_the_standard_has_it(mine):
    """Against the library's own call, without ours: encapsulated key, then ciphertext; info and suite as documented."""
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    private = hpke.MLKEM768X25519PrivateKey(mine._lattice, mine._curve)
    assert suite.decrypt(mine.public.wrap(b"plain", b"info"), private, b"info") == b"plain"
    assert mine.unwrap(suite.encrypt(b"plain", private.public_key(), b"info"), b"info") == b"plain"


def test_a_public_key_comes_as_text_or_in_a_file_and_damage_is_named(mine, tmp_path):
    path = tmp_path / "alice.device"
    path.write_text(mine.public.text + "\n")
    assert DevicePublicKey.parse(mine.public.text) == DevicePublicKey.parse(str(path)) == mine.public
    for wrong in (mine.public.text[:-4], "unseen-device-1:", "nowhere", mine.public.text + "AAAA"):
        with pytest.raises(InvalidInput):
            DevicePublicKey.parse(wrong)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_sheet_and_every_pair_of_shares_give_the_key_back(key):
    assert key_of(sheets(key)) == key
    made = sheets(key, 2, 3)
    for chosen in ((0, 1), (1, 2), (2, 0), (0, 1, 2), (0, 0, 1)):
        assert key_of([made[at] for at in chosen]) == key
    with pytest.raises(InvalidInput, match="got 1 different shares, and it takes 2 of 3"):
        key_of([made[0], made[0]])
    with pytest.raises(InvalidInput, match="do not belong together"):
        key_of([made[0], sheets(key, 2, 3)[1]])


@pytest.mark.parametrize("part", [b"", b"\0", "metric"])
def test_a_sheet_that_somebody_made_up_is_refused(monkeypatch, part):
    packed = recovery_sheet._packed(KEYS[3])
    made_up = packed.replace(b"\x02l2", b"\x02l9") if part == "metric" else part
    assert made_up != packed
    monkeypatch.setattr(recovery_sheet, "_packed", lambda _: made_up)
    with pytest.raises(IntegrityError, match="do not open"):
        key_of(sheets(KEYS[3]))


def test_a_sheet_says_what_it_is_and_holds_no_key_in_the_clear_of_another_form():
    (sheet,) = sheets(KEY)
    assert "Collection secret, key " + KEY.key_id in sheet
    assert "Keep it in a safe" in sheet
    assert "any 2 of them open the collection" in sheets(KEY, 2, 3)[2]
    assert max(map(len, sheet.splitlines())) <= 95


def lines_of(sheet):
    return [line for line in sheet.splitlines() if re.match(r" *\d+  ", line) and "lines" not in line]


SHEET = """\
Unseen recovery sheet

Collection secret, key f90fcf10e15003d9.
Whoever reads this sheet has the collection. Keep it in a safe.
To use it: type the numbered lines into a file below the title, then  unseen keys import FILE
The last four letters of a line check the others. There is no letter I, L, O or U.

 1  040G 20F8 VY1Z HZRH 7X7D 4SPQ M753 AGYC TMEG
 2  R1TC YQ23 5HGJ SNMR TRVR 8Z15 YG0M FPDG ZGT9
 3  YNG0 81A8 FDRG CA5W 6RH2 TZS9 24Z1 JHCA 1J39
 4  4SV0 671Z E2PE ZVRH 8J9D YGG2 D8YC KCD4 FAS2
 5  BY6C 59MV AS60 DAWC PGBK 39K4 YN59 PBA7 V15G
 6  F4ZG RKVD WTYJ 4DVG ANDN YWKC YJ0M QN0W EPC4
 7  1PY2 KNB7 1PT1 PZRT 8HA8 BRA8 E9DM N7YT Q11W
 8  Y190 X789 H1MA PZY4 YJWJ 39XF DTGF VGHK 1QEZ
 9  JSC9 9JE7 259Y SNVG 1SGN QR6N NJEA JE5W SVPP
10  3K0A E THWM
    10 lines
"""
"""One that was printed of KEY; a fixed one, since the letters that check a line pass one mistake in a million."""
LOOK_ALIKE = {"0": "O", "1": "IL"}


@pytest.mark.parametrize("in_small_letters", [False, True])
@pytest.mark.parametrize("wider", [False, True])
def test_a_sheet_is_read_however_it_was_typed(in_small_letters, wider):
    typed = SHEET.lower() if in_small_letters else SHEET
    if wider:
        typed = "\n".join(line.replace(" ", "  ").rstrip() for line in typed.splitlines())
    typed = typed.replace("unseen", "Unseen").replace("  recovery  ", " recovery ")
    assert key_of([typed]) == KEY


def test_every_letter_mistyped_as_any_other_is_found_in_its_line():
    tried = 0
    for number, line in enumerate(lines_of(SHEET), 1):
        for at in (at for at in range(4, len(line)) if line[at] != " "):
            for other in set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") - {line[at], *LOOK_ALIKE.get(line[at], "")}:
                with pytest.raises(IntegrityError, match=f"line {number} of the sheet is mistyped"):
                    key_of([SHEET.replace(line, line[:at] + other + line[at + 1 :])])
                tried += 1
    places = "".join(line[4:].replace(" ", "") for line in lines_of(SHEET))
    assert tried == 35 * len(places) - places.count("0") - 2 * places.count("1")


def test_letters_that_look_like_others_are_read_as_those():
    body = "\n".join(lines_of(SHEET))
    swapped = body.replace("0", "O").replace("1", "l")
    numbers = [line[:4] for line in lines_of(SHEET)]
    lines = [number + line[4:] for number, line in zip(numbers, swapped.splitlines(), strict=True)]
    assert key_of(["Unseen recovery sheet\n" + "\n".join(lines)]) == KEY


def test_a_missing_line_is_named():
    for number, line in enumerate(lines_of(SHEET)[:-1], 1):
        with pytest.raises(IntegrityError, match=f"line {number} of the sheet is missing"):
            key_of([SHEET.replace(line + "\n", "")])
    with pytest.raises(IntegrityError, match="do not open"):
        key_of([SHEET.replace(lines_of(SHEET)[-1] + "\n", "")])


def test_runs_of_spaces_take_no_time_to_speak_of():
    """A pattern that tries every way to share them out would take hours for these."""
    with pytest.raises(IntegrityError):
        key_of(["1 " + " " * 1_000_000 + "!"])


def test_one_share_alone_says_nothing_about_the_key():
    """The share that is there fits every secret: for any other key there is a second share that gives it."""
    from Crypto.Protocol.SecretSharing import Shamir, _Element

    secret, other = bytes(range(16)), bytes(range(100, 116))
    share = Shamir.split(2, 2, secret)[0][1]
    # The line through (0, other) and (1, share), at 2.
    slope = _Element(other) + _Element(share)
    second = (_Element(2) * slope + _Element(other)).encode()
    assert Shamir.combine([(1, share), (2, second)]) == other


@pytest.mark.parametrize("shares", [(1, 2), (0, 0), (3, 2), (2, 17), (1, 3)])
def test_shares_that_cannot_be_are_refused(shares):
    with pytest.raises(InvalidInput, match="give 2 of 3"):
        sheets(KEY, *shares)
