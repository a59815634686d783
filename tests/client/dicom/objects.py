"""DICOM objects for the tests of this folder: stacks of slices, clips and single pictures, generated and nobody's."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from tests.core.deid.dicom.planting import CLASSES, as_file, base_object
from unseen_client.deid import site_key
from unseen_client.deid.dicom_settings import SITE_KEY_BYTES
from unseen_client.home import private_folder
from unseen_client.keys.vault import Vault

SIDE = 96


def shape(seed: int, side: int = SIDE) -> np.ndarray:
    """(side, side) int16: a few bright blobs on a dark ground, others for every seed."""
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    picture = np.zeros((side, side))
    for _ in range(4):
        y, x, size = chance.uniform(0.2, 0.8), chance.uniform(0.2, 0.8), chance.uniform(0.05, 0.2)
        picture += chance.uniform(300, 900) * (((rows - y) / size) ** 2 + ((columns - x) / size / 2) ** 2 < 1)
    return (picture + chance.normal(0, 8, picture.shape)).clip(-200, 2000).astype(np.int16)


def slice_of(study: int, at: int = 0, modality: str = "CT", pixels: np.ndarray | None = None) -> pydicom.Dataset:
    """One slice of a stack; ``study`` decides what it shows, ``at`` where it lies."""
    stored = shape(1000 * study + at) if pixels is None else pixels
    dataset = base_object(modality, study)
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.511.3.{study}.9.{at + 1}"
    dataset.PatientID, dataset.PatientName = f"4711-{study}", "DOE^JANE"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = at + 1
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.PixelRepresentation = 1
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-100"
    dataset.WindowCenter, dataset.WindowWidth = ["300", "1"], ["900", "2"]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, 5 * at]
    dataset.BodyPartExamined = "CHEST"
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    dataset.PixelData = stored.tobytes()
    return dataset


def clip(study: int, pixels: np.ndarray) -> pydicom.Dataset:
    """An ultrasound of 8 bits: (frames, rows, columns), or (rows, columns) for a still."""
    dataset = slice_of(study, modality="US", pixels=pixels)
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.WindowCenter, dataset.WindowWidth
    del dataset.ImageOrientationPatient, dataset.ImagePositionPatient
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset["PixelData"].VR = "OB"
    return dataset


def with_region(dataset: pydicom.Dataset, left: int, top: int, right: int, bottom: int, form: int = 1) -> None:
    """Say that an ultrasound shows something there, bounds included."""
    region = pydicom.Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = form, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right, bottom
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.01
    dataset.SequenceOfUltrasoundRegions = [*dataset.get("SequenceOfUltrasoundRegions", []), region]


def as_jpeg_2000(dataset: pydicom.Dataset) -> bytes:
    """The same object in JPEG 2000 without loss, unsigned: Pillow writes no signed one."""
    buffer = BytesIO()
    Image.fromarray(dataset.pixel_array.astype(np.uint16)).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    copy = pydicom.dcmread(BytesIO(as_file(dataset)))
    copy.PixelRepresentation = 0
    copy.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
    copy["PixelData"].is_undefined_length = True
    copy.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return as_file(copy)


def fix_site_key(home: Path) -> bytes:
    """Give a home a site key, the same on every run, so that pseudonyms are the same too; its bytes."""
    key = bytes(range(SITE_KEY_BYTES))
    written = json.dumps({"format": site_key.FORMAT, "site_key": base64.b64encode(key).decode()}).encode()
    Vault(private_folder(home)).write_new(home / site_key.FILE_NAME, written)
    return key


@dataclass(frozen=True)
class InMemory:
    """A source that is no file."""

    data: bytes
    name: str = "in memory"
    origin: str = "nowhere"

    def head(self) -> bytes:
        return self.data[:132]

    def read(self) -> bytes:
        return self.data


__all__ = ["CLASSES", "InMemory", "as_file", "as_jpeg_2000", "clip", "fix_site_key", "shape", "slice_of", "with_region"]
