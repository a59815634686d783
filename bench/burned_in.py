"""Can text that was burned into pictures be read after it was covered? Planted strings, and frames of real ultrasounds.

    python -m bench.burned_in --pictures 100 --packages bench-out/packages --json bench-out/burned-in.json

Plants four strings a picture (``planted_text``), covers, and reads again with two readers that took no part in finding:
tesseract in the language of the string, and PP-OCR's recogniser. Counts as left what either of them still reads three
letters in a row of (two of Chinese, Japanese and Korean), and beside it, as a stricter count, strings of which half of
the ink shows: a person reads more than a program. Ends with 1 when a reader reads anything or more than 2 % of the
pictures are refused. Twenty seconds of processor time a picture; with ``--packages`` the frames of deid-data are
measured too, minutes each. Prints what became of each while it goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image

from bench.planted_text import (
    SCRIPTS,
    STRINGS_PER_PICTURE,
    PlantedPicture,
    PlantedString,
    plain_backgrounds,
    planted_picture,
)
from unseen.deid.dicom.burned_in import Finders, burned_in
from unseen.deid.dicom.stored import Shown, StoredFrames
from unseen.deid.text.finder import TextFinder
from unseen.deid.text.reader import TextReader
from unseen.errors import ImageRefused

LOGOGRAPHIC = {"han", "kana", "hangul"}
SHOWING = 0.5
MARGIN_PX = 6
ENLARGED = 3
MOST_REFUSED = 0.02
DEID_DATA = "deid-data==0.0.20"
ULTRASOUNDS = (
    "GREYSCALE_IMAGE.dcm",
    "RGB_IMAGE.dcm",
    "ultrasound-multiframe.dcm",
    "RGB_CINE.zip",
    "GREYSCALE_CINE.zip",
)
FRAMES_OF_A_CINE = 3
WORD_LETTERS = 3
PARTS = ("planted", "ultrasounds")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What became of one string."""

    string: PlantedString
    refused: str
    """Why its picture was; empty where it was not."""
    read_before: bool
    read_after: bool
    ink_left: float
    passes: int = 0
    """How often its picture was painted."""
    share_painted: float = 0.0
    """Of its picture."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--packages", type=Path, help="folder for the archive of deid-data; fetched when missing")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    finder, reader = TextFinder(), TextReader()
    ultrasounds = dict(ultrasound_frames(wanted.packages)) if wanted.packages else {}
    backgrounds = plain_backgrounds() | {name: frames.stored[0] for name, frames in ultrasounds.items()}
    seeds = range(wanted.seed, wanted.seed + wanted.pictures)
    outcomes: list[Outcome] = []
    frames: list[dict[str, Any]] = []
    with ThreadPoolExecutor(wanted.workers) as pool:
        if "planted" in wanted.only:
            pictures = pool.map(lambda seed: measured(planted_picture(seed, backgrounds), finder, reader), seeds)
            outcomes = [one for picture in told(pictures, in_short) for one in picture]
        if "ultrasounds" in wanted.only:
            frames = told(pool.map(lambda item: ultrasound(item[0], item[1], finder), ultrasounds.items()), str)
    figures = summary(outcomes, frames)
    for line in table(figures):
        print(line)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))
    if figures["read_after"] or figures["refused_pictures"] > MOST_REFUSED * wanted.pictures:
        raise SystemExit(1)


def told(results: Iterable[Result], in_words: Callable[[Result], str]) -> list[Result]:
    """All results; each is printed when it and those before it are there: the whole takes an hour."""
    kept = []
    for at, result in enumerate(results, 1):
        print(f"{at}: {in_words(result)}", flush=True)
        kept.append(result)
    return kept


def in_short(outcomes: Sequence[Outcome]) -> str:
    """What became of the strings of one picture."""
    before, after = sum(one.read_before for one in outcomes), sum(one.read_after for one in outcomes)
    one = outcomes[0]
    return one.refused or f"painted {one.passes} times, {one.share_painted:.0%}; read before {before}, after {after}"


def measured(picture: PlantedPicture, finder: TextFinder, reader: TextReader) -> list[Outcome]:
    """Cover one picture and read every string again."""
    before = picture.frames.views(0, np.zeros(picture.frames.frame_shape, np.bool_))[0]
    try:
        mask, report = burned_in(picture.frames, Finders(finder))
    except ImageRefused as refusal:
        return [Outcome(one, str(refusal), is_readable(before, one, reader), False, 0.0) for one in picture.strings]
    after = picture.frames.views(0, mask)[0]
    outcomes = []
    for one in picture.strings:
        left, top, right, bottom = one.box
        ink_left = float((one.ink & ~mask[top:bottom, left:right]).sum() / max(one.ink.sum(), 1))
        read_after = ink_left > 0 and is_readable(after, one, reader)
        read_before, share = is_readable(before, one, reader), float(mask.mean())
        outcomes.append(Outcome(one, "", read_before, read_after, ink_left, report.passes, share))
    return outcomes


def is_readable(pixels: npt.NDArray[np.uint8], string: PlantedString, reader: TextReader) -> bool:
    """Whether either reader reads letters of the string in a row, at its size or enlarged, turned back upright."""
    left, top, right, bottom = string.box
    rows = slice(max(0, top - MARGIN_PX), bottom + MARGIN_PX)
    columns = slice(max(0, left - MARGIN_PX), right + MARGIN_PX)
    cut = Image.fromarray(np.ascontiguousarray(pixels[rows, columns]))
    upright = cut.rotate(-string.turn, expand=True) if string.turn else cut
    need = 2 if string.script in LOGOGRAPHIC else 3
    for scale in (1, ENLARGED):
        seen = upright.resize((upright.width * scale, upright.height * scale), Image.Resampling.BICUBIC)
        array = np.asarray(seen)
        texts = [tesseract(seen, SCRIPTS[string.script].language), reader.read(array, (0, 0, *seen.size)).text]
        if any(common(text, string.text) >= need for text in texts):
            return True
    return False


def tesseract(picture: Image.Image, language: str, layout: int = 7) -> str:
    """What Debian's tesseract reads; layout 7 is one line, 11 is text anywhere."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    command = ["tesseract", "stdin", "stdout", "-l", language, "--psm", str(layout)]
    # Its threads wait for each other by spinning: with two pictures at once that takes longer than one thread each.
    environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, env=environment, check=False)
    return done.stdout.decode("utf-8", "replace")


def common(read: str, planted: str) -> int:
    """Letters in a row that stand in both, blanks left out."""
    one, two = ("".join(text.split()).casefold() for text in (read, planted))
    lengths, best = [0] * (len(two) + 1), 0
    for letter in one:
        lengths = [0] + [lengths[at] + 1 if letter == other else 0 for at, other in enumerate(two)]
        best = max(best, *lengths)
    return best


def ultrasound_frames(folder: Path) -> Iterator[tuple[str, StoredFrames]]:
    """The first frames of the five ultrasounds of deid-data (MIT), which name made-up patients."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "deid-data-0.0.20.tar.gz"
    if not archive.exists():
        download = ["-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d"]
        subprocess.run([sys.executable, *download, str(folder), DEID_DATA], check=True)
    with tarfile.open(archive) as opened:
        for name in ULTRASOUNDS:
            member = opened.extractfile(f"deid-data-0.0.20/deid_data/data/ultrasounds/{name}")
            assert member is not None
            data = member.read()
            if name.endswith(".zip"):
                inner = zipfile.ZipFile(BytesIO(data))
                data = inner.read(next(one for one in inner.namelist() if one.endswith(".dcm")))
            dataset = pydicom.dcmread(BytesIO(data))
            pixels = dataset.pixel_array
            pixels = pixels[:FRAMES_OF_A_CINE] if "NumberOfFrames" in dataset else pixels[None]
            shown = Shown.RGB if pixels.ndim == 4 else Shown.GREY
            yield name, StoredFrames(np.ascontiguousarray(pixels), shown)


def ultrasound(name: str, frames: StoredFrames, finder: TextFinder) -> dict[str, Any]:
    """How many words tesseract reads in an ultrasound before and after."""
    nothing = np.zeros(frames.frame_shape, np.bool_)
    before = words(frames.views(0, nothing)[0])
    try:
        mask, report = burned_in(frames, Finders(finder))
    except ImageRefused:
        return {"name": name, "frames": len(frames.stored), "refused": True, "words_before": len(before)}
    after = set[str]().union(*(words(frames.views(at, mask)[0]) for at in range(len(frames.stored))))
    return {
        "name": name,
        "frames": len(frames.stored),
        "refused": False,
        "lines": len(report.lines),
        "share_painted": round(float(mask.mean()), 4),
        "words_before": len(before),
        "words_left": len(before & after),
        "words_after": len(after),
    }


def words(pixels: npt.NDArray[np.uint8]) -> set[str]:
    """Words of three letters or digits and more that tesseract finds anywhere in a picture, twice enlarged."""
    picture = Image.fromarray(pixels)
    large = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC)
    found = "".join(letter if letter.isalnum() else " " for letter in tesseract(large, "eng", layout=11)).split()
    return {word for word in found if len(word) >= WORD_LETTERS}


def summary(outcomes: Sequence[Outcome], frames: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, all together and by script, size and contrast."""
    accepted = [one for one in outcomes if not one.refused]
    groups = {
        kind: {
            str(key): counts([one for one in outcomes if name(one) == key]) for key in sorted(set(map(name, outcomes)))
        }
        for kind, name in {
            "script": lambda one: one.string.script,
            "size_px": lambda one: one.string.size_px,
            "contrast": lambda one: one.string.contrast,
        }.items()
    }
    refusals = Counter(one.refused for one in outcomes if one.refused)
    return {
        "strings": len(outcomes),
        "refused_pictures": sum(refusals.values()) // STRINGS_PER_PICTURE,
        "reasons": {reason: strings // STRINGS_PER_PICTURE for reason, strings in refusals.items()},
        "read_before": sum(one.read_before for one in accepted),
        "read_after": sum(one.read_after for one in accepted),
        "half_the_ink_left": sum(one.ink_left > SHOWING for one in accepted),
        "most_passes": max((one.passes for one in accepted), default=0),
        "share_painted": round(float(np.mean([one.share_painted for one in accepted])), 4) if accepted else 0.0,
        "groups": groups,
        "left": [describe(one) for one in accepted if one.read_after or one.ink_left > SHOWING],
        "ultrasounds": frames,
    }


def counts(outcomes: Sequence[Outcome]) -> list[int]:
    """Strings, readable before, readable after, half of the ink left."""
    accepted = [one for one in outcomes if not one.refused]
    before, after = sum(one.read_before for one in accepted), sum(one.read_after for one in accepted)
    return [len(outcomes), before, after, sum(one.ink_left > SHOWING for one in accepted)]


def describe(one: Outcome) -> dict[str, Any]:
    """What kind of string was left."""
    string = one.string
    fields = {"script": string.script, "size_px": string.size_px, "contrast": string.contrast, "turn": string.turn}
    return {**fields, "read_before": one.read_before, "read_after": one.read_after, "ink_left": round(one.ink_left, 2)}


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures as lines of a table."""
    yield f"{figures['strings']} strings planted; {figures['refused_pictures']} pictures refused"
    yield from (f"  {pictures} refused: {reason}" for reason, pictures in figures["reasons"].items())
    yield f"read before {figures['read_before']}, read after {figures['read_after']}"
    yield f"half of the ink left: {figures['half_the_ink_left']}"
    yield f"painted at most {figures['most_passes']} times; mean share painted {figures['share_painted']}"
    for kind, group in figures["groups"].items():
        for key, (strings, before, after, showing) in group.items():
            yield f"  {kind} {key}: {strings} strings, read before {before}, after {after}, half of the ink {showing}"
    for one in figures["left"]:
        yield f"  left: {one}"
    for one in figures["ultrasounds"]:
        yield f"  {one}"


if __name__ == "__main__":
    main()
