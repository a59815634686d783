"""From DICOM files to a private search: what becomes of every real file, does a slice find itself, how fast is it?

    python -m bench.dicom_enrol --packages bench-out/packages --json bench-out/dicom-enrol.json       about 20 minutes

files     every file of pydicom, pydicom-data and deid-data into a real server: enrolled, stood for by others of its
          volume, or refused with a reason. Beside it, which of them pydicom decodes in this process.
itself    of the distinct grey pictures of 64 pixels and more among them, one row each: the same object with other
          windows in its header, other transfer syntaxes, cropped borders. Is the best hit the object itself? Every
          object is called a CT slice for this, so that no text is looked for: it would be painted at other places.
speed     CT slices of 512 x 512 until they can be searched, every slice a row; and the model alone in one process.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from bench.real_dicom import header_values, pydicom_files, real_files
from tests.client.real_server import RealServer
from unseen.deid.dicom.pseudonym import Pseudonyms
from unseen.embed.registry import default_registry
from unseen.errors import ImageRefused
from unseen_client import Client
from unseen_client.deid.site_key import site_key

Files = Callable[[], Iterator[tuple[str, bytes]]]
"""Name and bytes of every file, from the start again at every call."""
MODEL = "bundled+dicom"
SMALLEST_PX = 64
ALIKE = 0.99
"""Two pictures whose small copies correlate more than this are one picture: packages hold several encodings of it."""
CUT_COPIES = frozenset({"examples_overlay.dcm"})
"""Of MR-SIEMENS-DICOM-WithOverlays.dcm: the same slice with two strips cut off."""
WINDOWS = {
    "half the width": (0.0, 0.5),
    "0.7 of the width": (0.0, 0.7),
    "1.5 times the width": (0.0, 1.5),
    "twice the width": (0.0, 2.0),
    "lower by a fifth": (-0.2, 1.0),
    "higher by a fifth": (0.2, 1.0),
}
CROPS = (0.03, 0.05, 0.1)
MODEL_ALONE_SLICES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("bench-out/packages"))
    parser.add_argument("--only", nargs="+", choices=["files", "itself", "speed"], default=["files", "itself", "speed"])
    parser.add_argument("--sources", nargs="+", default=[], help="only these of pydicom, pydicom-data, deid-data")
    parser.add_argument("--pictures", type=int, default=2, help="of each volume and clip")
    parser.add_argument("--megapixels", type=float, help="of files, only those whose frames have at most so many")
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # pydicom warns of what is wrong with these files; that is what they are for
    files = partial(chosen_files, wanted.packages, wanted.sources, wanted.megapixels)
    figures = measured(files, wanted.only, wanted.pictures, wanted.slices)
    print(json.dumps(figures, indent=1))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))


def chosen_files(packages: Path, sources: list[str], megapixels: float | None = None) -> Iterator[tuple[str, bytes]]:
    """The real files, or some of them; pydicom's own need no other archive.

    megapixels: larger frames, in which looking for text takes minutes each, are left out and named.
    """
    every = pydicom_files() if sources == ["pydicom"] else real_files(packages)
    for name, data in every:
        if sources and name.partition("/")[0] not in sources:
            continue
        if megapixels is not None and (size := pixels_of(data)) > 1_000_000 * megapixels:
            print(f"left out, {size} pixels: {name}")
            continue
        yield name, data


def pixels_of(data: bytes) -> int:
    """How many pixels a frame has by its header; 0 where that says nothing."""
    rows, columns = header_values(data, "Rows", "Columns")
    return int(rows) * int(columns) if rows.isdecimal() and columns.isdecimal() else 0


def measured(files: Files, parts: list[str], pictures: int, slices: int) -> dict[str, Any]:
    """The figures of the wanted parts, each with a collection of its own on one real server."""
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as text:
        folder = Path(text)
        server = RealServer(folder)
        try:
            with Client(server.address, home=folder / "device", timeout_s=300) as client:
                if "files" in parts:
                    figures["files"] = of_files(client, written(files, folder / "files"), pictures)
                if "itself" in parts:
                    figures["itself"] = of_itself(client, files, folder / "itself")
                if "speed" in parts:
                    figures["speed"] = of_speed(client, folder / "speed", slices)
        finally:
            server.stop()
    return figures


# ---- files ----------------------------------------------------------------------------------------------------------


def written(files: Files, folder: Path) -> Path:
    """The files below a folder, each under a number and its name."""
    for at, (name, data) in enumerate(files()):
        package, _, rest = name.partition("/")
        path = folder / package / f"{at:04}-{rest.replace('/', '-')}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def of_files(client: Client, folder: Path, pictures: int) -> dict[str, Any]:
    """What became of every file, and of those that pydicom decodes."""
    client.create_collection("files", model=MODEL)
    report = client.enrol_dicom("files", folder, pictures_per_volume=pictures)
    refused = {one.source: one.reason for one in report.refused}
    decodable = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_decodable(path.read_bytes())]
    kept_out = {Path(path).name: refused[path] for path in map(str, decodable) if path in refused}
    return {
        "files": sum(path.is_file() for path in folder.rglob("*")),
        "passed over": report.passed_over,
        "objects": report.objects,
        "studies": report.studies,
        "pictures enrolled": report.enrolled,
        "objects stood for": report.stood_for,
        "refused": len(refused),
        "reasons": dict(Counter(refused.values()).most_common()),
        "children that died": sum("broke the process" in reason for reason in refused.values()),
        "pydicom decodes": len(decodable),
        "of those refused": kept_out,
    }


def is_decodable(data: bytes) -> bool:
    """Whether pydicom, with the same decoders, reads a DICOM file and its first frame in this process."""
    if data[128:132] != b"DICM":
        return False
    try:
        first_frame(pydicom.dcmread(BytesIO(data)))
    except Exception:  # noqa: BLE001 - whatever it raises, it does not decode
        return False
    return True


def first_frame(dataset: pydicom.Dataset) -> np.ndarray:
    return get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, index=0, raw=False)[0]


# ---- itself ---------------------------------------------------------------------------------------------------------


def of_itself(client: Client, files: Files, folder: Path) -> dict[str, Any]:
    """How many objects are their own best hit, for every change."""
    folder.mkdir()
    distinct = list(distinct_pictures(files))
    for at, (dataset, numbers) in enumerate(distinct):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(
            f"1.2.826.0.1.3680043.10.511.9.{at}"
        )
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.{at + 1}", f"2.25.1{at + 1}"
        save(dataset, numbers, folder / f"{at}")
    client.create_collection("itself", model=MODEL)
    report = client.enrol_dicom("itself", folder, pictures_per_volume=0)
    pseudonyms = Pseudonyms(site_key(folder.parent / "device"))
    found: dict[str, list[bool]] = {}
    query = folder / "query"
    for dataset, numbers in distinct:
        own = pseudonyms.uid(dataset.SOPInstanceUID)
        for change, write in changes(dataset, numbers):
            write(query)
            found.setdefault(change, []).append(best_hit(client, query) == own)
    kinds = {"windows": list(WINDOWS), "syntaxes": ["RLE", "JPEG 2000"], "crops": [crop_name(one) for one in CROPS]}
    shares = {kind: share([hit for name in names for hit in found.get(name, [])]) for kind, names in kinds.items()}
    return {"pictures": report.enrolled, **shares, "each": {name: share(hits) for name, hits in found.items()}}


def best_hit(client: Client, query: Path) -> str:
    """The instance that is found first, by its pseudonym; nothing where the query is refused."""
    try:
        return client.search_image("itself", query, top_k=1)[0].record.extra["instance"]
    except ImageRefused as refusal:
        print("a query was refused:", refusal)
        return ""


def share(hits: list[bool]) -> str:
    return f"{sum(hits)} of {len(hits)}"


def distinct_pictures(files: Files) -> Iterator[tuple[pydicom.Dataset, np.ndarray]]:
    """Grey single frames of at least 64 pixels that decode and are not one picture in another encoding."""
    small: list[np.ndarray] = []
    for name, data in files():
        if Path(name).name in CUT_COPIES or not is_decodable(data):
            continue
        dataset = pydicom.dcmread(BytesIO(data))
        numbers = first_frame(dataset)
        grey = dataset.get("PhotometricInterpretation") in {"MONOCHROME1", "MONOCHROME2"} and numbers.ndim == 2
        if not grey or min(numbers.shape) < SMALLEST_PX or "PerFrameFunctionalGroupsSequence" in dataset:
            continue
        copy = thumbnail(numbers)
        if all(float(copy @ other) < ALIKE for other in small):
            small.append(copy)
            yield dataset, numbers


def thumbnail(numbers: np.ndarray) -> np.ndarray:
    """A unit vector of 32 x 32 means, for comparing pictures without the model."""
    low, high = np.percentile(numbers, (1, 99))
    grey = np.clip((numbers - low) / max(high - low, 1), 0, 1).astype(np.float32)
    flat = np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.BOX), np.float64).ravel()
    flat -= flat.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-9)


def changes(dataset: pydicom.Dataset, numbers: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Names of what is done to an object, and what writes it so."""
    centre, width = window_of(dataset, numbers)
    for name, (shift, factor) in WINDOWS.items():
        yield (
            name,
            lambda path, c=centre + shift * width, w=width * factor: save(dataset, numbers, path, (c, max(w, 1))),
        )
    for share_of_side in CROPS:
        rows, columns = (max(1, int(share_of_side * side)) for side in numbers.shape)
        yield crop_name(share_of_side), lambda path, r=rows, c=columns: save(dataset, numbers[r:-r, c:-c], path)
    yield "RLE", lambda path: save(dataset, numbers, path, syntax=RLELossless)
    if numbers.min() >= 0 and numbers.dtype.itemsize <= 2:
        yield "JPEG 2000", lambda path: save(dataset, numbers, path, syntax=JPEG2000Lossless)


def crop_name(share_of_side: float) -> str:
    return f"{share_of_side:.0%} cropped at every side"


def window_of(dataset: pydicom.Dataset, numbers: np.ndarray) -> tuple[float, float]:
    """The object's first window, or the one from percentile to percentile where it has none."""
    try:
        centre, width = (
            float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
            for value in (dataset.WindowCenter, dataset.WindowWidth)
        )
    except (AttributeError, TypeError, ValueError, IndexError):
        low, high = np.percentile(apply_modality_lut(numbers, dataset), (1, 99))
        return float(low + high) / 2, float(high - low) + 1
    return centre, width


def save(
    dataset: pydicom.Dataset,
    numbers: np.ndarray,
    path: Path,
    window: tuple[float, float] | None = None,
    syntax: str = ExplicitVRLittleEndian,
) -> None:
    """Write one frame of an object, plain or compressed without loss, with another window if one is given."""
    kept = [element for element in dataset if element.tag.group != 0x7FE0 and not element.tag.is_private]
    out = pydicom.Dataset({element.tag: deepcopy(element) for element in kept})
    out.file_meta = pydicom.dataset.FileMetaDataset()
    out.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out.SOPClassUID, out.Modality = CTImageStorage, "CT"
    out.ImageType, out.BurnedInAnnotation = ["ORIGINAL", "PRIMARY", "AXIAL"], "NO"
    out.pop("ConversionType", None)
    out.NumberOfFrames = 1
    out.Rows, out.Columns = numbers.shape
    out.BitsAllocated = 8 * numbers.dtype.itemsize
    out.PixelData = np.ascontiguousarray(numbers).tobytes()
    out["PixelData"].VR = "OW" if numbers.dtype.itemsize > 1 else "OB"
    if window is not None:
        out.WindowCenter, out.WindowWidth = f"{window[0]:.6g}", f"{window[1]:.6g}"
        out.pop("VOILUTSequence", None)
    if syntax == RLELossless:
        out.compress(RLELossless, generate_instance_uid=False)
    elif syntax == JPEG2000Lossless:
        buffer = BytesIO()
        plain = numbers.astype(np.uint8 if numbers.dtype.itemsize == 1 else np.uint16)
        Image.fromarray(plain).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
        out.PixelRepresentation = 0
        out.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
        out["PixelData"].is_undefined_length = True
        out.file_meta.TransferSyntaxUID = JPEG2000Lossless
    out.save_as(path, enforce_file_format=True)


# ---- speed ----------------------------------------------------------------------------------------------------------


def of_speed(client: Client, folder: Path, slices: int) -> dict[str, Any]:
    """Slices a second from files to rows on the server's disk, and what the model alone takes."""
    from bench.dicom_speed import make_slices

    make_slices(folder, slices)
    client.create_collection("speed", model=MODEL)
    client.enrol_dicom("speed", min(folder.iterdir()))  # starts children and models
    started = time.perf_counter()
    report = client.enrol_dicom("speed", folder, pictures_per_volume=0)
    took_s = time.perf_counter() - started
    assert report.searchable == slices == client.count("speed")
    model = default_registry().load("bundled")
    picture = np.random.default_rng(1).integers(0, 255, (512, 512, 3), np.uint8)
    model.image(picture)
    began = time.perf_counter()
    for _ in range(MODEL_ALONE_SLICES):
        model.image(picture)
    alone = MODEL_ALONE_SLICES / (time.perf_counter() - began)
    return {"slices": slices, "slices a second": (slices - 1) / took_s, "the model alone, one thread": alone}


if __name__ == "__main__":
    main()
