"""Which files a run takes, and where each goes: the folder structure is kept, and nothing is read from the output.

Runs where the images are. Looks at names and at the first bytes of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unseen.errors import InvalidInput

CAMERA_SUFFIXES = {".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw"}
IMAGE_SUFFIXES = CAMERA_SUFFIXES | {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm", ".tga", ".psd", ".dcm", ".dicom"),
}
"""Whoever names a file so means a picture: what cannot be read of these is refused, not passed over."""
FAMILIES = ({".jpg", ".jpeg", ".jpe", ".jfif"}, {".png"}, {".webp"}, {".dcm", ".dicom"})


@dataclass(frozen=True)
class Job:
    """One file to take: where it is, and what it is called in reports and below the output."""

    path: Path
    name: str
    """Relative to the input, with forward slashes."""
    is_named: bool
    """Whether somebody named this very file, and its output, on the command line."""


@dataclass(frozen=True)
class Plan:
    """The files of a run and the folder that their outputs go to."""

    jobs: tuple[Job, ...]
    folder: Path
    output_name: str = ""
    """For a single file: what its output is called in that folder."""
    report_file: Path = Path()


def planned(source: Path, target: Path, report_file: Path | None) -> Plan:
    """Return every file below a folder, or the one file; InvalidInput when there is none or the output is in the input.

    The report goes beside the output, not into it: it is not for those who get the pictures.
    """
    if not source.exists():
        raise InvalidInput(f"there is no {source}; give a photograph, a DICOM file or a folder of them")
    if source.is_dir():
        _require_apart(source, target)
        report = report_file or target.with_name(f"{target.name}.report.jsonl")
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        return Plan(tuple(Job(path, path.relative_to(source).as_posix(), False) for path in paths), target, "", report)
    output = target / source.name if target.is_dir() else target
    if output.exists() and output.samefile(source):
        raise InvalidInput(f"{source} would be replaced by its own output; give another name for it")
    report = report_file or output.with_name(f"{output.name}.report.jsonl")
    return Plan((Job(source, source.name, True),), output.parent, output.name, report)


def target_name(job: Job, plan: Plan, suffix: str) -> str:
    """Return the place of an output below its folder: the source's name, and a suffix that says what it is.

    InvalidInput when somebody named the output as something else than it would be.
    """
    name = plan.output_name or job.name
    if not suffix or _same_family(Path(name).suffix.lower(), suffix):
        return name
    if job.is_named and Path(name).suffix:
        raise InvalidInput(f"{name} would hold {suffix[1:]}; name it so, or choose the format with --format")
    return name + suffix


def _same_family(first: str, second: str) -> bool:
    return first == second or any({first, second} <= family for family in FAMILIES)


def looks_like_a_picture(path: Path) -> bool:
    """Whether the name promises one."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def _require_apart(source: Path, target: Path) -> None:
    inner, outer = target.resolve(), source.resolve()
    if inner == outer or outer in inner.parents:
        raise InvalidInput(f"{target} lies in {source}; give a folder outside it, so that no output is taken for input")
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"{source} is a folder and {target} is a file; give a folder for the outputs")
