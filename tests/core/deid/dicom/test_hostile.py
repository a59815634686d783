"""Broken, cut and malicious files: a refusal that says why, never another exception, never gigabytes."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.core.deid.dicom.planting import as_file, base_object, finish, planted
from unseen.deid.dicom import read
from unseen.deid.dicom.deidentify import deidentify
from unseen.deid.dicom.options import Option
from unseen.errors import ImageRefused

FOLDER = Path(pydicom.__file__).parent / "data/test_files"
SMALL = [
    "693_J2KI.dcm",
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "reportsi.dcm",
]
MUTATIONS = 150
EXPLICIT = "1.2.840.10008.1.2.1"


def refusal(data: bytes, site_key: bytes) -> str:
    """Why there was no output, or nothing where there is one; any exception but a refusal fails the test."""
    try:
        result = deidentify(data, site_key=site_key, options=frozenset({Option.CLEAN_STRUCTURED_CONTENT}))
    except ImageRefused as refused:
        return str(refused)
    # What comes out of a broken file is whole again.
    assert deidentify(result.data, site_key=site_key, options=frozenset({Option.CLEAN_STRUCTURED_CONTENT})).data
    return ""


def header_end(data: bytes) -> int:
    """Mutations aim at what is parsed, not at pixels."""
    return min(len(data), 8000)


@pytest.mark.parametrize("name", SMALL)
def test_changed_bytes_are_read_or_refused(name: str, site_key: bytes) -> None:
    data = (FOLDER / name).read_bytes()
    chance = random.Random(name)
    outcomes = []
    for _ in range(MUTATIONS):
        mutant = bytearray(data)
        for _ in range(chance.choice([1, 4, 20])):
            mutant[chance.randrange(132, header_end(data))] = chance.choice([0, 0xFF, 0xFE, chance.randrange(256)])
        outcomes.append(refusal(bytes(mutant), site_key))
    assert len(outcomes) == MUTATIONS


@pytest.mark.parametrize("name", SMALL)
def test_cut_files_are_refused_or_complete_up_to_there(name: str, site_key: bytes) -> None:
    data = (FOLDER / name).read_bytes()
    chance = random.Random(name)
    cuts = [chance.randrange(len(data)) for _ in range(25)] + [0, 1, 128, 131, 132, 140, len(data) - 1, len(data) - 9]
    for cut in cuts:
        refusal(data[:cut], site_key)


@pytest.mark.parametrize("name", SMALL)
def test_inserted_and_doubled_pieces_are_read_or_refused(name: str, site_key: bytes) -> None:
    data = (FOLDER / name).read_bytes()
    chance = random.Random(name)
    for _ in range(25):
        at, length = chance.randrange(132, header_end(data)), chance.randrange(1, 200)
        refusal(data[:at] + data[at - length : at] + data[at:], site_key)
        refusal(data[:at] + data[at + length :], site_key)


def deflated(content: bytes) -> bytes:
    meta = as_file(finish(base_object("CT"), [], random.Random(0), "1.2.840.10008.1.2.1.99").dataset)
    end = 144 + struct.unpack_from("<I", meta, 140)[0]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return meta[:end] + squeezer.compress(content) + squeezer.flush()


def test_a_deflate_bomb_is_refused_within_its_bound(site_key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_INFLATED_BYTES", 1 << 20)
    bomb = deflated(bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(ImageRefused, match="inflates to more than"):
        deidentify(bomb, site_key=site_key)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_what_does_not_inflate_is_refused(site_key: bytes) -> None:
    meta = deflated(b"")
    with pytest.raises(ImageRefused, match="does not inflate"):
        deidentify(meta[:-2] + b"\xff" * 50, site_key=site_key)


@pytest.mark.parametrize("depth", [16, 17, 500, 5000])
def test_nesting_has_a_bound(depth: int, site_key: bytes) -> None:
    content = b""
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    closing = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    for _ in range(depth):
        content = opening + content + closing if depth < 100 else content
    content = content or opening * depth
    data = base_file()
    if depth <= 16:
        deidentify(data + content, site_key=site_key)
    else:
        with pytest.raises(ImageRefused, match="nested deeper than 16"):
            deidentify(data + content, site_key=site_key)


def base_file() -> bytes:
    return as_file(finish(base_object("CT"), [], random.Random(0), EXPLICIT).dataset)


def test_a_swarm_of_items_has_a_bound(site_key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_ELEMENTS", 1000)
    swarm = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 2000
    with pytest.raises(ImageRefused, match="more than 1000 elements"):
        deidentify(base_file() + swarm, site_key=site_key)


@pytest.mark.parametrize("length", [0x7FFFFFFE, 0xFFFFFFFE, 10_000_000])
def test_a_length_beyond_the_file_asks_for_no_memory(length: int, site_key: bytes) -> None:
    element = struct.pack("<HH2sHI", 0x0008, 0x2111, b"UT", 0, length)
    with pytest.raises(ImageRefused, match="cut short"):
        deidentify(base_file() + element, site_key=site_key)


def test_a_file_beyond_the_limit_is_refused(site_key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_FILE_BYTES", 1000)
    with pytest.raises(ImageRefused, match="expected at most 1000"):
        deidentify(base_file(), site_key=site_key)


@pytest.mark.parametrize(
    ("sop_class", "reason"),
    [
        ("1.2.840.10008.5.1.4.1.1.104.1", "document"),
        ("1.2.840.10008.5.1.4.1.1.104.3", "document"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "structured report"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "structured report"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "waveform"),
        ("1.2.840.10008.5.1.4.1.1.66", "raw data"),
        ("1.2.840.10008.5.1.4.1.1.4.2", "spectroscopy"),
        ("1.2.840.10008.1.3.10", "no storage SOP class"),
        ("1.3.46.670589.11.0.0.12.1", "no storage SOP class"),
        ("1.2.840.10008.1.1", "no storage SOP class"),
    ],
)
def test_objects_that_cannot_be_cleaned_are_refused(sop_class: str, reason: str, site_key: bytes) -> None:
    dataset = base_object("CT")
    dataset.SOPClassUID = sop_class
    with pytest.raises(ImageRefused, match=reason):
        deidentify(as_file(finish(dataset, [], random.Random(0), EXPLICIT).dataset), site_key=site_key)


@pytest.mark.parametrize(
    "syntax",
    ["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.8.1", "1.2.3", "1.2.840.10008.1.20"],
)
def test_transfer_syntaxes_that_are_not_handled_are_refused(syntax: str, site_key: bytes) -> None:
    data = base_file()
    at = data.index(EXPLICIT.encode() + b"\0", 132)
    (length,) = struct.unpack_from("<H", data, at - 2)
    value = syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
    with pytest.raises(ImageRefused, match="transfer syntax"):
        deidentify(data[: at - 2] + struct.pack("<H", len(value)) + value + data[at + length :], site_key=site_key)


def test_a_refusal_names_no_value(site_key: bytes) -> None:
    source = planted("CT", 77, EXPLICIT)
    chance = random.Random(77)
    for _ in range(40):
        mutant = bytearray(source.data)
        mutant[chance.randrange(132, len(mutant))] = 0xFF
        reason = refusal(bytes(mutant), site_key)
        assert [place for place, fragment in source.fragments if fragment.decode("latin-1") in reason] == []


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2"])
def test_no_planted_identifier_comes_out_of_a_broken_file(syntax: str, site_key: bytes) -> None:
    source = planted("MR", 31, syntax)
    chance = random.Random(31)
    outputs = 0
    for _ in range(200):
        mutant = bytearray(source.data)
        for _ in range(chance.choice([1, 1, 2, 5])):
            mutant[chance.randrange(132, len(mutant) - 600)] = chance.choice([0, 1, 2, 8, 255, chance.randrange(256)])
        try:
            result = deidentify(bytes(mutant), site_key=site_key)
        except ImageRefused:
            continue
        outputs += 1
        assert source.left_in(result.data) == []
    assert outputs > 20


def test_a_refusal_names_no_tag_that_is_a_piece_of_a_value(site_key: bytes) -> None:
    astray = base_file() + b"JANEZZDOE^19700102"
    with pytest.raises(ImageRefused) as refused:
        deidentify(astray, site_key=site_key)
    assert "standard does not know" in str(refused.value)
    assert not {"4A41", "4E45", "414A", "454E"} & set(str(refused.value).replace(",", " ").replace("(", " ").split())


def test_a_data_set_that_cannot_be_written_is_refused(site_key: bytes) -> None:
    dataset = base_object("CT")
    dataset["Rows"]._value = "sixteen"
    with pytest.raises(ImageRefused, match="cannot be written"):
        deidentify(dataset, site_key=site_key)


def test_an_overlay_within_the_pixels_is_refused(site_key: bytes) -> None:
    dataset = base_object("CT")
    dataset.add_new(0x60000102, "US", 12)
    with pytest.raises(ImageRefused, match="unused bits"):
        deidentify(dataset, site_key=site_key)


def test_unknown_length_text_hides_in_no_sequence(site_key: bytes) -> None:
    inner = Dataset()
    inner.PatientName = "HIDDENNAME"
    dataset = base_object("CT")
    dataset.add_new(0x52009229, "SQ", Sequence([inner]))
    data = as_file(finish(dataset, [], random.Random(0), EXPLICIT).dataset)
    assert b"HIDDENNAME" in data
    assert b"HIDDENNAME" not in deidentify(data, site_key=site_key).data


@pytest.mark.parametrize(
    ("vr", "unit"),
    [("US", b"\x01\x00"), ("DS", b"1\\"), ("CS", b"A\\"), ("UI", b"1\\"), ("LO", b"A"), ("DA", b"20200101\\")],
)
def test_a_value_of_megabytes_takes_no_gigabytes(vr: str, unit: bytes, site_key: bytes) -> None:
    tags = {"US": 0x00280106, "DS": 0x00281052, "CS": 0x00080008, "UI": 0x00200052, "LO": 0x00080080, "DA": 0x00080022}
    value = unit * (8_000_000 // len(unit))
    source = planted_value(tags[vr], vr, value)
    options = frozenset({Option.RETAIN_INSTITUTION_IDENTITY, Option.RETAIN_LONGITUDINAL_MODIFIED_DATES})
    tracemalloc.start()
    deidentify(source, site_key=site_key, options=options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def planted_value(tag: int, vr: str, value: bytes) -> bytes:
    """A file in implicit VR, where every value may be as long as it likes, with one element more."""
    data = as_file(finish(base_object("CT"), [], random.Random(0), "1.2.840.10008.1.2").dataset)
    return data + struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def test_a_swarm_of_tiny_frames_takes_no_square_of_their_number(site_key: bytes) -> None:
    stream = b"\xff\xd8\xff\xd9\0\0" * 200_000
    fragments = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(stream)) + stream
    data = base_file().replace(EXPLICIT.encode() + b"\0", b"1.2.840.10008.1.2.4.50", 1)
    at = data.index(b"1.2.840.10008.1.2.4.50")
    data = data[: at - 2] + struct.pack("<H", 22) + data[at:]
    pixels = data.index(struct.pack("<HH", 0x7FE0, 0x0010))
    forged = data[:pixels] + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + fragments
    assert deidentify(forged + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), site_key=site_key).data


def test_a_swarm_of_fragments_has_a_bound(site_key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_ELEMENTS", 1000)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 2000
    with pytest.raises(ImageRefused, match="more than 1000 elements"):
        deidentify(base_file() + pixels, site_key=site_key)
