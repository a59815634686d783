"""What people write: addresses, noise, settings, names; texts and documents that configure either side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from bench.fuzz.target import Target, as_tree, scratch_folder
from unseen.deid.settings import DeidSettings
from unseen.dp.text import mechanism_from_text, require_policy
from unseen.errors import InvalidConfiguration, InvalidDocument, InvalidInput, KeyServiceFailed
from unseen.governance.moments import moment_seconds, moment_text
from unseen.weights import MANIFEST_NAME, read_manifest
from unseen_client.cli.face_options import _region
from unseen_client.deid.dicom_settings import DicomSettings
from unseen_client.records import Record
from unseen_client.retrieval.where import condition
from unseen_client.transport import is_loopback, require_address
from unseen_server.access.names import require_collections, require_name, require_roles, require_tenant
from unseen_server.config import _host_and_port
from unseen_server.keys.choice import MasterKeyChoice
from unseen_server.keys.pkcs11_token import _attributes
from unseen_server.keys.vault import _data, _field
from unseen_server.postgres.address import PostgresAddress


def of_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A run that reads text; halves of characters included, as a command line may hold them."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def settings(kind: type[Any]) -> Callable[[bytes], object]:
    """Settings from the fields of a JSON object that they know."""
    names = {field.name for field in fields(kind)} - {"site_key", "home"}

    def read(data: bytes) -> object:
        given = as_tree(data)
        return kind(
            **{name: value for name, value in given.items() if name in names} if isinstance(given, dict) else {}
        )

    return read


def moment(text: str) -> None:
    assert moment_text(moment_seconds(text)) == text


def names(text: str) -> None:
    """Tenant, caller, then roles and collections, a line each."""
    tenant, name, roles, collections, *_ = [*text.split("\n"), "", "", "", ""]
    require_tenant(tenant)
    require_name(name)
    require_roles(roles.split(" "))
    require_collections(collections.split(" "))


def server_address(text: str) -> None:
    require_address(text)
    is_loopback(text)


def listen_address(text: str) -> None:
    host, port = _host_and_port("--listen", text)
    assert host
    assert port >= 0


def store_address(text: str) -> None:
    assert str(PostgresAddress(text))


def vault_answer(data: bytes) -> None:
    _field(_data(data), "ciphertext")


class Models:
    """A folder of models with a manifest that every execution writes anew."""

    def __init__(self) -> None:
        self._path = scratch_folder()

    def read(self, data: bytes) -> None:
        (self._path / MANIFEST_NAME).write_bytes(data)
        read_manifest(self._path).fingerprint()


def condition_tried(text: str) -> None:
    """A condition on records, and the same text as what a record says."""
    for values in (
        {"taken": "2024-03-05T10:00+01:00", "price": "19.90", "maker": text},
        {"taken": text, "price": text},
    ):
        assert condition(text).holds(Record(id="a", tags=("dog", text), extra=values)) in (True, False)


MANIFEST = f'[files."a.onnx"]\nsha256 = "{"0" * 64}"\nsize_bytes = 3\n[recipe]\nside = 224\n'.encode()
FACES = DeidSettings(always_cover=((0.0, 0.0, 1.0, 0.1),)).as_dict()
DICOM = DicomSettings().as_dict() | {"options": ["uids", "patient"]}


def _text(name: str, read: Callable[[str], object], *seeds: bytes, declared: Any = InvalidConfiguration) -> Target:
    return Target(name, of_text(read), (declared,), seeds, most_bytes=512)


TARGETS = (
    _text("dp.text.mechanism_from_text", mechanism_from_text, b"privunit:64", b"gaussian:64:1e-6", b"metric:2"),
    _text("dp.text.require_policy", require_policy, b"any:64:1e-6", b"privunit:64"),
    Target(
        "deid.settings", settings(DeidSettings), (InvalidConfiguration,), (json.dumps(FACES).encode(),), is_json=True
    ),
    Target(
        "client.deid.dicom_settings",
        settings(DicomSettings),
        (InvalidConfiguration,),
        (json.dumps(DICOM).encode(),),
        is_json=True,
    ),
    _text("client.cli.face_options.region", _region, b"0,0,1,0.1", declared=InvalidInput),
    _text("governance.moments", moment, b"2026-01-31T12:00:00Z", declared=InvalidDocument),
    _text("server.access.names", names, b"ward\nalice\nreader steward\nscans", declared=InvalidInput),
    _text("client.transport.require_address", server_address, b"127.0.0.1:7443", b"[::1]:7443", b"unix:/x"),
    _text("server.config.host_and_port", listen_address, b"127.0.0.1:7443", b"[::1]:0"),
    _text("server.postgres.address", store_address, b"postgresql://u@host:5432/db?service=x", b"postgres:///db"),
    _text("server.keys.choice", MasterKeyChoice.parse, b"file:./master.key", b"vault:https://v/transit/k"),
    _text(
        "server.keys.pkcs11_token.attributes",
        _attributes,
        b"token=T;object=O?module-path=/lib/p.so&pin-source=file:/pin",
    ),
    Target(
        "server.keys.vault.answer",
        vault_answer,
        (KeyServiceFailed,),
        (b'{"data":{"ciphertext":"vault:v1:abc"}}',),
        is_json=True,
    ),
    _text(
        "client.retrieval.where",
        condition_tried,
        b"tag = dog",
        b"taken >= 2024-01-01",
        b'maker in "a, b", c',
        b"price < 20",
        b"taken not in 2024:03:05 10:00:00",
        declared=InvalidInput,
    ),
    Target("weights.read_manifest", Models().read, (InvalidConfiguration,), (MANIFEST,)),
)
