"""Lay out the DICOM objects that are installed with pydicom in a folder for each modality, for `unseen eval`.

    python -m bench.dicom_by_modality bench-out/modalities
    unseen eval bench-out/modalities --model bundled+dicom

Says how many there are of each. Left out is what is no DICOM object, names no modality, or is there already: the
package holds many an object in several encodings.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from bench.real_dicom import header_values, pydicom_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(json.dumps(laid_out(parser.parse_args().folder)))


def laid_out(folder: Path) -> dict[str, int]:
    """Write every object into the folder of its modality, named and numbered; how many there are of each."""
    found: Counter[str] = Counter()
    instances: set[str] = set()
    for at, (name, data) in enumerate(pydicom_files()):
        modality, instance = header_values(data, "Modality", "SOPInstanceUID")
        if is_modality(modality) and instance not in instances:
            instances.add(instance)
            (folder / modality).mkdir(parents=True, exist_ok=True)
            (folder / modality / f"{at:03}-{Path(name).name}").write_bytes(data)
            found[modality] += 1
    return dict(sorted(found.items()))


def is_modality(text: str) -> bool:
    """Whether a header's text can be a modality, and a folder's name."""
    return text.isalpha() and text.isupper()


if __name__ == "__main__":
    main()
