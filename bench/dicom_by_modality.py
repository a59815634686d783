"""Lay out the DICOM objects that are installed with pydicom in a folder for each modality, for `unseen eval`.

    python -m bench.dicom_by_modality bench-out/modalities
    unseen eval bench-out/modalities --model bundled+dicom

Says how many there are of each. What is no DICOM object, or names no modality, is left out.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import Counter
from io import BytesIO
from pathlib import Path

import pydicom

from bench.real_dicom import pydicom_files

WORD = 16
"""Longest name of a modality (CS, PS3.5 section 6.2)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(json.dumps(laid_out(parser.parse_args().folder)))


def laid_out(folder: Path) -> dict[str, int]:
    """Write every object into the folder of its modality, named and numbered; how many there are of each."""
    found: Counter[str] = Counter()
    for at, (name, data) in enumerate(pydicom_files()):
        if modality := modality_of(data):
            (folder / modality).mkdir(parents=True, exist_ok=True)
            (folder / modality / f"{at:03}-{Path(name).name}").write_bytes(data)
            found[modality] += 1
    return dict(sorted(found.items()))


def modality_of(data: bytes) -> str:
    """The modality that an object names; empty for none, and for what is no object."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            named = str(pydicom.dcmread(BytesIO(data), stop_before_pixels=True).get("Modality") or "")
        except Exception:  # noqa: BLE001 - the package holds files made to be wrong; they are left out
            return ""
    return named if named.isalpha() and named.isupper() and len(named) <= WORD else ""


if __name__ == "__main__":
    main()
