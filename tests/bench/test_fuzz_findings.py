"""What fuzzing found, once more: inputs that raised what their parser did not declare, and what each is now."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from bench.fuzz.target import Target
from bench.fuzz.targets import all_targets
from bench.fuzz.targets.audit_log import ORIGIN, PRIVATE_KEY, RECEIPT
from bench.fuzz.targets.device_files import LINES, chained, saved
from bench.fuzz.targets.keys import CONTENT, UID
from bench.fuzz.targets.models import ANSWER, ELSEWHERE, MANIFEST, SENTENCE
from bench.fuzz.targets.records import CARD, DESCRIPTION
from bench.fuzz.targets.store_files import MEMBER
from unseen.audit.head import key_hash
from unseen.bearer import BearerToken
from unseen.errors import (
    ImageRefused,
    IntegrityError,
    InvalidConfiguration,
    InvalidDocument,
    InvalidInput,
    LimitExceeded,
    NotAuthenticated,
    ProofBroken,
    SealBroken,
    ServerUnavailable,
    UnseenError,
    UnsupportedEvent,
)
from unseen.keys import ring_content
from unseen.v1 import record_pb2

TARGETS = {target.name: target for _, target in all_targets()}
OF_NO_ALGORITHM = bytes.fromhex(
    "2d2d2d2d2d424547494e205055424c4943204b45592d2d2d2d2d0a4d436f77425159444b3156774179454141364548762f504f454c3464634e3059"
    "353076416d57666b316a436270513166486479475a424a564d62673d0a2d2d2d2d2d454e44205055424c4943204b45592d2d2d2d2d0a"
)
"""A public key in PEM of an algorithm that nobody knows."""
DEEP = b"[" * 100_000
HUGE = 10**400


def of_json(data: bytes, **changes: Any) -> bytes:
    """A JSON object with other values."""
    return json.dumps(json.loads(data) | changes).encode()


def seed(name: str, mode: int | None = None) -> bytes:
    """The first right input of a target, without its mode."""
    target = TARGETS[name]
    return next(one[target.mode_bytes :] for one in target.inputs if mode is None or one[0] == mode)


def half_a_character() -> bytes:
    """A receipt whose head has a line with half of a character in it, which no signature can be over."""
    body = f"{ORIGIN}\n1\n{base64.b64encode(bytes(32)).decode()}\n\ud800\n"
    line = base64.b64encode(key_hash(ORIGIN, PRIVATE_KEY.public_key().public_bytes_raw()) + bytes(64)).decode()
    head = f"{body}\n— {ORIGIN} {line}\n"
    return b"\0" + json.dumps(json.loads(RECEIPT.to_bytes()) | {"head": head}).encode()


def journal(**changes: Any) -> bytes:
    return b"\1" + json.dumps([LINES[1], LINES[2] | changes]).encode()


def unknown_reason() -> bytes:
    """A ring that a later release wrote: it destroyed a tree for a reason that is not known here."""
    return b"\1" + ring_content._write_body(CONTENT)[:-1] + b"\xff"


def odd_vector() -> bytes:
    return b"\1" + record_pb2.Record(id="id", vector=b"odd").SerializeToString()


def nested_card() -> bytes:
    return b"\1" + DESCRIPTION.replace(b'"bundled"', DEEP)


TOKEN = BearerToken(UID, b"\xff" * 32).text()
NPZ = saved(np.savez, allow_pickle=False, a=np.zeros(3))


def zip_directory(at: int, value: int) -> bytes:
    """Arrays whose directory says that one is encrypted (byte 8), or packed in a way nobody knows (byte 10)."""
    changed = bytearray(NPZ)
    changed[NPZ.index(b"PK\1\2") + at] = value
    return bytes(changed)


EVENT = seed("dp.event.from_json")
LISTING = seed("client.models.hub.listing")
DEEP_RECIPE = b"[files]\n[recipe]\na" + b".a" * 1900 + b" = 1"
HUGE_HEX = b"0x" + b"f" * 3800
"""More than the 4300 decimal digits that Python writes."""
ENDLESS = b"HTTP/1.1 302 d\r\nLocation: \nTransfer-Encoding: chunked\n\n" + b"c" * 50
"""A piece of more bytes than any number of them."""

FOUND: list[tuple[str, bytes, type[UnseenError]]] = [
    ("audit.receipt.from_bytes", half_a_character(), ProofBroken),
    ("bearer.parse", TOKEN.replace("_", "/").replace("unseen/", "unseen_").encode(), NotAuthenticated),
    ("client.adapt.plan", DEEP, IntegrityError),
    ("client.adapt.read_card", DEEP, IntegrityError),
    ("client.adapt.read_card", of_json(CARD, privacy=json.loads(CARD)["privacy"] | {"epsilon": HUGE}), IntegrityError),
    ("client.adapt.run_folder.kept", NPZ[:-30], IntegrityError),
    ("client.adapt.run_folder.kept", zip_directory(8, 1), IntegrityError),
    ("client.adapt.run_folder.kept", zip_directory(10, 99), IntegrityError),
    ("client.array_file.read_array", b"", InvalidInput),
    ("client.array_file.read_array", b"\x93NUMPY\x01\x00\x06\x00{'a\n('", InvalidInput),
    ("client.cli.described.read_records", DEEP, InvalidInput),
    ("client.controller_keys", DEEP, IntegrityError),
    ("client.deid.attributes.told", DEEP, ImageRefused),
    ("client.deid.attributes.told", b"[]", ImageRefused),
    ("client.deid.attributes.told", b"{}", ImageRefused),
    ("client.deid.dicom_settings", b'{"options":3}', InvalidConfiguration),
    ("client.deid.journal", journal(target=None), InvalidInput),
    ("client.deid.journal", journal(covered="many"), InvalidInput),
    ("client.deid.journal", journal(facts=[1]), InvalidInput),
    ("client.deid.journal", b'\1[{"description":{}}]', InvalidInput),
    ("client.deid.journal", b"\0" + seed("client.deid.journal", 0) + DEEP + b"\n", InvalidInput),
    ("client.deid.site_key", DEEP, IntegrityError),
    ("client.key_export.unwrap", b"\0" + DEEP, IntegrityError),
    ("client.key_export.unwrap", b"\1" + DEEP, IntegrityError),
    ("client.key_export.unwrap", b"\1\xff", IntegrityError),
    ("client.keystore", DEEP, IntegrityError),
    ("client.models.fetching.answer", ANSWER.replace(b"2\r\n\r\nok", b"\xb2\r\n\r\n" + bytes(101)), LimitExceeded),
    ("client.models.fetching.answer", ELSEWHERE.replace(b"127.0.0.1:2", b"[x"), ServerUnavailable),
    ("client.models.fetching.answer", ENDLESS, ServerUnavailable),
    ("client.models.hub.listing", LISTING.replace(b'"size": 3', b'"size": 1e999'), IntegrityError),
    ("client.models.hub.listing", of_json(LISTING, cardData={"license": "\ud800"}), IntegrityError),
    ("client.privacy.read_budgets", DEEP, IntegrityError),
    (
        "client.privacy.read_budgets",
        of_json(seed("client.privacy.read_budgets"), per_subject={"epsilon": HUGE, "delta": 0.1}),
        IntegrityError,
    ),
    ("client.records.open_record", odd_vector(), SealBroken),
    ("deid.settings", b'{"always_cover":[[0,0,%d,1]]}' % HUGE, InvalidConfiguration),
    ("dp.event.from_json", DEEP, UnsupportedEvent),
    ("dp.event.from_json", of_json(EVENT, epsilon=HUGE), UnsupportedEvent),
    ("dp.event.from_json", of_json(EVENT, version=1e999), UnsupportedEvent),
    ("dp.ledger", b"\0" + chained(DEEP), IntegrityError),
    ("dp.ledger", b"\1" + of_json(seed("dp.ledger", 1), subjects={"one": 1e999}), IntegrityError),
    ("embed.adapter.read_adapter", nested_card(), IntegrityError),
    (
        "embed.pulled.describe.sentence-transformers-1",
        json.dumps(
            SENTENCE | {"config_sentence_transformers.json": {"prompts": {"a": "\ud800"}, "default_prompt_name": "a"}}
        ).encode(),
        InvalidInput,
    ),
    ("embed.pulled.recipe.published", MANIFEST.replace(b"512", HUGE_HEX), InvalidConfiguration),
    ("governance.consent.from_bytes", seed("governance.consent.from_bytes").replace(b"PT", b"PT0"), InvalidDocument),
    ("keys.ring_content", unknown_reason(), SealBroken),
    ("server.config.host_and_port", b"[]:0", InvalidConfiguration),
    ("server.config.host_and_port", b"]:0", InvalidConfiguration),
    ("server.access.signed_tokens.read_keys", DEEP, InvalidConfiguration),
    ("server.access.signed_tokens.read_keys", OF_NO_ALGORITHM, InvalidConfiguration),
    ("store.backup.unpack", b"\1" + MEMBER + MEMBER, IntegrityError),
    ("weights.read_manifest", b'[files."a"]\nsha256 = ""\nsize_bytes = inf\n', InvalidConfiguration),
    ("weights.read_manifest", b"a = " + DEEP, InvalidConfiguration),
    ("weights.read_manifest", DEEP_RECIPE, InvalidConfiguration),
    ("weights.read_manifest", DEEP_RECIPE.partition(b"a.a")[0] + b"a = " + HUGE_HEX, InvalidConfiguration),
    ("weights.refuse_external_data", b"\1\3", IntegrityError),
]


def label(found: object) -> str:
    return found if isinstance(found, str) else getattr(found, "__name__", "")


@pytest.mark.parametrize(("name", "data", "refusal"), FOUND, ids=label)
def test_what_was_found_is_refused_as_the_parser_declares(name: str, data: bytes, refusal: type[UnseenError]) -> None:
    target = TARGETS[name]
    assert any(issubclass(refusal, kind) for kind in target.declared)
    with pytest.raises(refusal):
        target.execute(data)


def test_right_inputs_around_them_are_still_taken() -> None:
    done: list[Target] = [TARGETS[name] for name in sorted({name for name, _, _ in FOUND})]
    for target in done:
        target.execute(target.inputs[0])


def test_a_report_whose_lines_name_no_pipeline_passes_nothing() -> None:
    lines = [{"description": {}, "pipeline": "p"}, {"outcome": "done", "pipeline": {}, "covered": 1, "facts": {}}]
    TARGETS["client.deid.journal"].execute(b"\1" + json.dumps(lines).encode())
