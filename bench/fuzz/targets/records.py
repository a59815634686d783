"""What a device opens of rows: records, mirrors' entries, images' DICOM headers, adapters, models."""

from __future__ import annotations

import json
import re

import numpy as np

from bench.fuzz.target import Target, as_text
from bench.protobuf_bytes import varint
from unseen import envelope
from unseen.deid.dicom.identifying import known_of
from unseen.deid.dicom.read import read_part10
from unseen.deid.dicom.report_words import enrollable
from unseen.dp.event import Event
from unseen.dp.privunit import PrivUnit
from unseen.embed.adapter import Adapter, read_adapter, write_adapter
from unseen.errors import ImageRefused, IntegrityError, SealBroken
from unseen.weights import refuse_external_data
from unseen_client.adapt.card import read_card
from unseen_client.records import Record, encode_record, open_record, pad

KEY, UID = bytes(range(32)), bytes(range(16))
PLACE = envelope.context("record", UID, UID)


# Records


def record(data: bytes) -> None:
    """A sealed record, as a mirror holds it."""
    found = open_record(KEY, UID, UID, data)
    assert found.vector is None or found.vector.dtype == np.float32


def sealed(data: bytes) -> bytes:
    """Sealed by a member of the collection: whoever has the key can seal anything."""
    return envelope.seal(KEY, data, PLACE)


def padded(data: bytes) -> bytes:
    return sealed(pad(data))


NOISE: Event = PrivUnit(64.0).event(8)
RECORD = Record(
    "id", "name", "caption", ("tag",), "link", b"jpeg", np.ones(8, np.float32), {"camera": "hand"}, noise=NOISE
)
ENCODED = encode_record(RECORD)


# DICOM


def explicit(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """One element in Explicit VR Little Endian."""
    tag = group.to_bytes(2, "little") + element.to_bytes(2, "little")
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return tag + vr + bytes(2) + len(value).to_bytes(4, "little") + value
    return tag + vr + len(value).to_bytes(2, "little") + value


def part10(syntax: bytes, body: bytes) -> bytes:
    """A file of one transfer syntax; the body as it is given."""
    return bytes(128) + b"DICM" + explicit(2, 0x10, b"UI", syntax + b"\0" * (len(syntax) % 2)) + body


ITEM = b"\xfe\xff\x00\xe0" + (12).to_bytes(4, "little") + explicit(8, 0x1150, b"UI", b"1.23")
BODY = (
    explicit(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0")
    + explicit(8, 0x18, b"UI", b"1.2.3\0")
    + explicit(8, 0x1115, b"SQ", ITEM)
    + explicit(0x10, 0x10, b"PN", b"A^B ")
    + explicit(0x10, 0x20, b"LO", b"ID")
)
PIXELS = (
    explicit(0x28, 2, b"US", b"\1\0")
    + explicit(0x28, 4, b"CS", b"MONOCHROME2 ")
    + explicit(0x28, 0x10, b"US", b"\2\0")
    + explicit(0x28, 0x11, b"US", b"\2\0")
    + explicit(0x28, 0x100, b"US", b"\x08\0")
    + explicit(0x28, 0x101, b"US", b"\x08\0")
    + explicit(0x28, 0x102, b"US", b"\7\0")
    + explicit(0x28, 0x103, b"US", b"\0\0")
    + explicit(0x7FE0, 0x10, b"OW", b"\1\2\3\4")
)
FINDING = explicit(0x40, 0xA040, b"CS", b"TEXT") + explicit(0x40, 0xA160, b"UT", b"Jane Doe, no nodule.")
REPORT = (
    explicit(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.88.11\0")
    + explicit(8, 0x18, b"UI", b"1.2.3\0")
    + explicit(0x10, 0x10, b"PN", b"Doe^Jane")
    + explicit(0x40, 0xA040, b"CS", b"TEXT")
    + explicit(0x40, 0xA160, b"UT", b"Report")
    + explicit(0x40, 0xA730, b"SQ", b"\xfe\xff\x00\xe0" + len(FINDING).to_bytes(4, "little") + FINDING)
)
OBJECTS = (
    part10(b"1.2.840.10008.1.2.1", BODY + PIXELS),
    part10(b"1.2.840.10008.1.2.2", BODY),
    part10(b"1.2.840.10008.1.2.1", REPORT),
    part10(b"1.2.840.10008.1.2", b"\x08\0\x18\0\4\0\0\0001.2\0" + b"\x10\0\x20\0\2\0\0\0ID"),
)


def attributes(data: bytes) -> None:
    """The whole cleaning of attributes, and of the words of reports; what it writes must be readable again."""
    done, words = enrollable(data, site_key=KEY, options=frozenset(), this_year=2026)
    read_part10(done.data)
    if words is not None and any("Jane" in name.split("^") for name in known_of(read_part10(data).dataset).names):
        assert not says(words, "Jane")


def says(text: str, name: str) -> bool:
    """Whether a text has a name as a word, or where a space is missing before or behind it; not within another word."""
    around = [(text[: hit.start()][-1:], text[hit.end() :][:1]) for hit in re.finditer(name, text)]
    return any(not before.isupper() and not behind.islower() for before, behind in around)


# Models


def adapter(data: bytes) -> None:
    found = read_adapter(data)
    assert np.isfinite(found.down).all()


def described(data: bytes) -> bytes:
    """An adapter whose description is these bytes, in a file of a right form."""
    header = {
        "__metadata__": {"unseen": data.decode("utf-8", "replace")},
        "down": {"dtype": "F32", "shape": [1, 512], "data_offsets": [0, 2048]},
        "up": {"dtype": "F32", "shape": [1, 384], "data_offsets": [2048, 3584]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(3584)


ADAPTER = write_adapter(Adapter("bundled", np.zeros((1, 512), np.float32), np.zeros((1, 384), np.float32), "{}"))
DESCRIPTION = json.dumps({"format": "unseen-adapter-1", "model": "bundled", "card": "{}"}).encode()
CARD = json.dumps(
    {
        "format": "unseen-adapter-card-1",
        "about": "about",
        "lesson": "labels",
        "labels": ["a", "b"],
        "images": {"learned_from": 100, "held_out": 20},
        "privacy": {
            "unit": "u",
            "neighbouring": "n",
            "epsilon": 1.0,
            "delta": 1e-5,
            "accountant": "a",
            "steps": 1,
            "steps_begun": 1,
            "sample_rate": 0.25,
            "noise_multiplier": 1.0,
            "clip_norm": 1.0,
            "held_out_releases": 1,
            "held_out_deviation": 1.0,
            "noise_source": "s",
            "public": "p",
        },
        "utility": {"measure": "m", "before": 0.1, "after": 0.2, "deviation_of_each": 0.01},
    }
).encode()


def card(data: bytes) -> None:
    assert isinstance(read_card(as_text(data)), dict)


def onnx(data: bytes) -> None:
    refuse_external_data(data)


GRAPH = b"\x3a\x06\x0a\x04\x2a\x02\x32\x00"
"""model { graph { node { attribute { graph {} } } } }"""


def nested(data: bytes) -> bytes:
    """Graphs in attributes of nodes of graphs, up to 360 deep, as the first byte says, around the rest."""
    inner = data[1:]
    for _ in range(data[0] % 4 * 120 if data else 0):
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            inner = tag + varint(len(inner)) + inner
    return b"\x3a" + varint(len(inner)) + inner


TARGETS = (
    Target(
        "client.records.open_record",
        record,
        (SealBroken,),
        (padded(ENCODED),),
        dress=padded,
        dressed_seeds=(ENCODED,),
    ),
    Target("deid.dicom.read_part10", read_part10, (ImageRefused,), OBJECTS),
    Target("deid.dicom.deidentify", attributes, (ImageRefused,), OBJECTS),
    Target(
        "embed.adapter.read_adapter",
        adapter,
        (IntegrityError,),
        (ADAPTER,),
        dress=described,
        dressed_seeds=(DESCRIPTION,),
        most_bytes=8192,
        is_json=True,
    ),
    Target("client.adapt.read_card", card, (IntegrityError,), (CARD,), is_json=True),
    Target(
        "weights.refuse_external_data",
        onnx,
        (IntegrityError,),
        (GRAPH,),
        dress=nested,
        dressed_seeds=(b"\2" + GRAPH, b"\3"),
    ),
)
