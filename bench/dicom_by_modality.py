"""Lay out the DICOM objects that are installed with pydicom in a folder for each modality, for `unseen eval`.

    python -m bench.dicom_by_modality bench-out/modalities
    unseen eval bench-out/modalities --model bundled+dicom

Says how many there are of each. Left out is what is no DICOM object, names no modality, or is there already: the
package holds many an object in several encodings.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(json.dumps(laid_out(parser.parse_args().folder)))


def laid_out(folder: Path) -> dict[str, int]:
    """Write every object into the folder of its modality, named and numbered; how many there are of each."""
    found: Counter[str] = Counter()
    instances: set[str] = set()
    for at, (name, data) in enumerate(pydicom_files()):
        modality, instance = named_in(data)
        if modality and instance not in instances:
            instances.add(instance)
            (folder / modality).mkdir(parents=True, exist_ok=True)
            (folder / modality / f"{at:03}-{Path(name).name}").write_bytes(data)
            found[modality] += 1
    return dict(sorted(found.items()))


def named_in(data: bytes) -> tuple[str, str]:
    """The modality and the instance that an object names; empty for what is no object, or names none as it should."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
            modality, instance = str(read.get("Modality") or ""), str(read.get("SOPInstanceUID") or "")
        except Exception:  # noqa: BLE001 - the package holds files made to be wrong; they are left out
            return "", ""
    return (modality, instance) if modality.isalpha() and modality.isupper() else ("", "")


if __name__ == "__main__":
    main()
