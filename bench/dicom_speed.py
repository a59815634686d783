"""How many CT slices a second does `unseen deid` de-identify, files in and files out, children and report included?

    python -m bench.dicom_speed --slices 600 --workers 2 --json bench-out/dicom-speed.json

Makes slices of 512 x 512 with the attributes of a scanner, runs the real command's code over the folder twice (the
first run starts the children), and beside it, in the same minutes, dicom-anonymizer 2.1.0 over a part of them in one
process: it has no processes to isolate, no report, and does not look at pixels either.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
from dicomanonymizer import anonymize_dicom_file

from unseen_client.deid.deidentifier import Deidentifier
from unseen_client.deid.dicom_settings import DicomSettings

SIDE_PX = 512
PEER_SLICES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    with TemporaryDirectory() as folder:
        figures = measured(Path(folder), wanted.slices, wanted.workers)
    print(f"unseen deid: {figures['slices_per_s']:.0f} CT slices a second on {wanted.workers} workers")
    print(f"dicom-anonymizer: {figures['peer_slices_per_s']:.0f} a second in one process")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))


def measured(folder: Path, slices: int, workers: int) -> dict[str, Any]:
    """Slices a second, ours and dicom-anonymizer's."""
    source, target = folder / "in", folder / "out"
    make_slices(source, slices)
    settings = DicomSettings(site_key=bytes(range(32)))
    with Deidentifier(dicom=settings, workers=workers) as deidentifier:
        deidentifier.run(source, folder / "warm")
        started = time.perf_counter()
        report = deidentifier.run(source, target)
        took_s = time.perf_counter() - started
    assert report.complete
    assert len(list(target.iterdir())) == slices
    return {
        "slices": slices,
        "workers": workers,
        "slices_per_s": slices / took_s,
        "peer_slices_per_s": peer(source, folder),
    }


def make_slices(folder: Path, count: int) -> None:
    """CT slices of one series with the header of pydicom's CT_small."""
    folder.mkdir()
    dataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm")
    dataset.Rows = dataset.Columns = SIDE_PX
    chance = np.random.default_rng(1)
    base = chance.integers(0, 2000, (SIDE_PX, SIDE_PX)).astype(np.int16)
    for at in range(count):
        dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.511.3.7.{at}"
        dataset.InstanceNumber = at + 1
        dataset.PixelData = np.roll(base, at, axis=0).tobytes()
        dataset.save_as(folder / f"slice{at:05}.dcm")


def peer(source: Path, folder: Path) -> float:
    """dicom-anonymizer over some of the slices."""
    paths = sorted(source.iterdir())[:PEER_SLICES]
    target = folder / "peer"
    target.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        for path in paths:
            anonymize_dicom_file(str(path), str(target / path.name))
        took_s = time.perf_counter() - started
    shutil.rmtree(target)
    return len(paths) / took_s


if __name__ == "__main__":
    main()
