"""Objects with identifiers planted all over them, found by walking pydicom's dictionary and never our own tables."""

from __future__ import annotations

import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import DicomDictionary, tag_for_keyword  # type: ignore[attr-defined]
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
PLANTED_AT_RANDOM = 110
TEXT = {"AE": 16, "CS": 16, "LO": 40, "LT": 60, "PN": 40, "SH": 16, "ST": 60, "UC": 60, "UT": 60}
BINARY = {"FL": "f", "FD": "d", "SL": "i", "SS": "h", "UL": "I", "US": "H", "SV": "q", "UV": "Q"}
OTHER = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


@dataclass
class Planted:
    """A file, and every fragment that must not be in what comes out."""

    data: bytes
    dataset: Dataset
    fragments: list[tuple[str, bytes]] = field(default_factory=list)

    def left_in(self, output: bytes) -> list[str]:
        """Where the fragments that are still somewhere in the output were planted."""
        haystacks = [output, *inflated(output)]
        return [place for place, fragment in self.fragments if any(fragment in hay for hay in haystacks)]


def inflated(output: bytes) -> list[bytes]:
    """The data set of a deflated file, and nothing for any other."""
    start = output.find(b"1.2.840.10008.1.2.1.99")
    if start < 0:
        return []
    for at in range(start, min(start + 300, len(output))):
        try:
            return [zlib.decompressobj(-15).decompress(output[at:])]
        except zlib.error:
            continue
    return []


def base_object(modality: str, seed: int = 0) -> Dataset:
    """A small picture of a modality, nothing personal in it, pixels with no printable byte."""
    pixels = np.random.default_rng(seed).integers(128, 256, size=(16, 16), dtype=np.uint16)
    dataset = Dataset()
    dataset.SOPClassUID = CLASSES[modality]
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.511.3.{seed}.1"
    dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.10.511.3.{seed}.2"
    dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.511.3.{seed}.3"
    dataset.Modality = modality
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.InstanceNumber = 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def planted(modality: str, seed: int, syntax: str | None = None) -> Planted:
    """One object with at least a hundred identifiers: every VR, nested, private, graphics, file meta, preamble."""
    chance = random.Random(seed)
    dataset = base_object(modality, seed)
    fragments: list[tuple[str, bytes]] = []
    by_vr: dict[str, list[int]] = {}
    for tag, entry in DicomDictionary.items():
        unused = tag not in dataset and tag >> 16 not in {0, 2, 0xFFFE}
        for vr in entry[0].split(" or ") if unused else []:
            if vr != "NONE" and tag & 0xFFFF:
                by_vr.setdefault(vr, []).append(tag)
    pool = [(tag, vr) for vr, tags in by_vr.items() for tag in chance.sample(tags, min(2, len(tags)))]
    names = [(int(tag), vr) for tag, vr in _person(by_vr)]
    everything = [(tag, vr) for vr, tags in by_vr.items() for tag in tags]
    pool += names + chance.sample(everything, PLANTED_AT_RANDOM)
    for tag, vr in pool:
        if Tag(tag) not in dataset:
            fragments.append(
                (f"{Tag(tag)} {vr}", put(dataset, tag, vr, chance, depth=chance.choice([0, 1, 2, 3]), by_vr=by_vr))
            )
    fragments += private(dataset, chance) + graphics(dataset, chance)
    return finish(dataset, fragments, chance, syntax or chance.choice(SYNTAXES))


def dictionary_in_turn(modality: str, per_object: int, depth: int, within: str | None = None) -> Iterator[Planted]:
    """Objects that together have an identifier in every attribute of the dictionary, at one depth."""
    known = {int(element.tag) for element in base_object(modality)}
    entries = [
        (tag, entry[0].split(" or ")[-1])
        for tag, entry in sorted(DicomDictionary.items())
        if tag >> 16 not in {0, 2, 0xFFFE} and tag & 0xFFFF
    ]
    entries = [(tag, vr) for tag, vr in entries if vr != "NONE" and (depth or tag not in known)]
    by_vr = {"LO": [0x00104000], "SQ": [tag_for_keyword(within) or 0 if within else 0x52009229]}
    for start in range(0, len(entries), per_object):
        chance = random.Random(start)
        dataset = base_object(modality, start)
        fragments = [
            (f"{Tag(tag)} {vr}", put(dataset, tag, vr, chance, depth, by_vr))
            for tag, vr in entries[start : start + per_object]
        ]
        yield finish(dataset, fragments, chance, ExplicitVRLittleEndian)


def _person(by_vr: dict[str, list[int]]) -> list[tuple[int, str]]:
    keywords = "PatientName PatientID PatientBirthDate OtherPatientIDs PatientAddress AccessionNumber StudyDate StudyID"
    known = {entry[4]: (tag, entry[0]) for tag, entry in DicomDictionary.items()}
    return [known[keyword] for keyword in keywords.split()]


def put(dataset: Dataset, tag: int, vr: str, chance: random.Random, depth: int, by_vr: dict[str, list[int]]) -> bytes:
    """Plant one identifier, within as many sequences as ``depth`` says; the bytes to look for."""
    value, fragment = secret(vr, chance)
    if vr == "SQ":
        inner = Dataset()
        fragment = put(inner, chance.choice(by_vr["LO"]), "LO", chance, min(depth, 2), by_vr)
        value = Sequence([inner])
    for _ in range(depth):
        outer = Dataset()
        outer.add(DataElement(Tag(tag), vr, value, validation_mode=0))
        tag, vr, value = chance.choice(by_vr["SQ"]), "SQ", Sequence([outer])
    if vr == "SQ" and Tag(tag) in dataset:
        dataset[tag].value.append(value[0])
    else:
        dataset.add(DataElement(Tag(tag), vr, value, validation_mode=0))
    return fragment


def secret(vr: str, chance: random.Random) -> tuple[Any, bytes]:
    """An identifier in the form of a VR, and the bytes to look for."""
    word = "PHI" + "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=9))
    if vr in TEXT:
        text = f"{word}^{word[:5]}" if vr == "PN" else word
        return text, word.encode()
    if vr in {"DS", "IS"}:
        digits = str(chance.randrange(1_000_000_000, 2_100_000_000))
        return digits, digits.encode()
    if vr in {"DA", "DT", "TM", "AS"}:
        moment = f"{chance.randrange(1921, 1999)}{chance.randrange(1, 13):02}{chance.randrange(10, 29)}"
        clock = f"{chance.randrange(10, 24)}{chance.randrange(10, 60)}59.{chance.randrange(100000, 999999)}"
        text = {"DA": moment, "TM": clock, "DT": moment + clock, "AS": f"0{chance.randrange(11, 89)}Y"}[vr]
        return text, text.encode()
    if vr == "UI":
        uid = f"1.2.826.0.1.3680043.10.{chance.randrange(10**9, 10**10)}.{chance.randrange(10**9, 10**10)}"
        return uid, uid.encode()
    if vr == "UR":
        return f"https://clinic.example/{word}", word.encode()
    raw = (word + "2468")[:16].encode()
    if vr in OTHER:
        return raw, raw[:12]
    if vr == "AT":
        return [
            struct.unpack_from("<HH", raw, at)[0] << 16 | struct.unpack_from("<HH", raw, at)[1] for at in (0, 4, 8)
        ], raw[:12]
    if vr in BINARY:
        return list(struct.unpack(f"<{16 // struct.calcsize(BINARY[vr])}{BINARY[vr]}", raw)), raw[:8]
    return None, b""


def private(dataset: Dataset, chance: random.Random) -> list[tuple[str, bytes]]:
    """Private attributes with a creator, without one, of a safe-listed creator, and nested."""
    fragments = []
    for place, tags in {"creator": (0x00110010, 0x00111001), "no creator": (0x00131001,)}.items():
        for tag in tags:
            value, fragment = secret("LO", chance)
            dataset.add(DataElement(Tag(tag), "LO", value, validation_mode=0))
            fragments.append((f"private, {place}", fragment))
    dataset.add(DataElement(Tag(0x00190010), "LO", "SIEMENS MR HEADER"))
    value, fragment = secret("IS", chance)
    dataset.add(DataElement(Tag(0x0019100C), "IS", value, validation_mode=0))
    raw, raw_fragment = secret("UN", chance)
    dataset.add(DataElement(Tag(0x00191099), "UN", raw))
    inner = Dataset()
    text, text_fragment = secret("PN", chance)
    inner.add(DataElement(Tag(0x00100010), "PN", text))
    dataset.add(DataElement(Tag(0x00191098), "SQ", Sequence([inner])))
    return [*fragments, ("safe creator", fragment), ("private UN", raw_fragment), ("private sequence", text_fragment)]


def graphics(dataset: Dataset, chance: random.Random) -> list[tuple[str, bytes]]:
    """An overlay with data, label and comments, and a curve."""
    fragments = []
    for tag, vr in (
        (0x60003000, "OW"),
        (0x60004000, "LT"),
        (0x60001500, "LO"),
        (0x60000022, "LO"),
        (0x50003000, "OW"),
        (0x50002500, "LO"),
    ):
        value, fragment = secret(vr, chance)
        dataset.add(DataElement(Tag(tag), vr, value, validation_mode=0))
        fragments.append((f"graphics {Tag(tag)}", fragment))
    dataset.add(DataElement(Tag(0x60000010), "US", 8))
    dataset.add(DataElement(Tag(0x60000011), "US", 8))
    return fragments


def finish(dataset: Dataset, fragments: list[tuple[str, bytes]], chance: random.Random, syntax: str) -> Planted:
    """The file, with identifiers in its meta information, in its preamble and in UIDs."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ImplementationVersionName"):
        value, fragment = secret("AE", chance)
        setattr(meta, keyword, value)
        fragments.append((f"meta {keyword}", fragment))
    value, fragment = secret("UI", chance)
    meta.PrivateInformationCreatorUID = value
    raw, raw_fragment = secret("OB", chance)
    meta.PrivateInformation = raw
    preamble, preamble_fragment = secret("LO", chance)
    fragments += [("meta creator", fragment), ("meta private", raw_fragment), ("preamble", preamble_fragment)]
    fragments += [
        (name, str(dataset[name].value).encode())
        for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    ]
    dataset.file_meta = meta
    dataset.preamble = preamble.encode().ljust(128, b"P")
    return Planted(as_file(dataset), dataset, fragments)


def as_file(dataset: Dataset) -> bytes:
    """The bytes that pydicom writes."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
