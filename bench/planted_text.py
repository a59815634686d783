"""Pictures with strings planted in them: known letters in known places, for whoever says that none can be read after.

Sizes of 10 to 48 pixels, fourteen scripts, faint and strong, lighter and darker than what is behind, grey of 8 and 12
bits and colour, upright, slanted and turned. Names, numbers and dates are made up. Backgrounds are frames of pydicom's
own test files, photographs of the demo, and, where they are given, ultrasound frames.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, ImageDraw, ImageFont

from unseen.deid.dicom.stored import Shown, StoredFrames

SIDE_PX, GAP_PX = 512, 40
STRINGS_PER_PICTURE, MOST_TRIES = 4, 10_000
SIZES_PX = (10, 11, 12, 14, 16, 20, 24, 32, 48)
CONTRASTS = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2)
"""Share of the way from the mean of the background to white or black."""
TURNS = (0, 0, 0, 0, 0, 0, 0, 0, 90, 180, 270, 8, -15)
FONTS = Path("/usr/share/fonts")
DEJAVU = [f"truetype/dejavu/{name}.ttf" for name in ("DejaVuSans", "DejaVuSansMono", "DejaVuSans-Bold")]
LIBERATION = [f"truetype/liberation/Liberation{name}-Regular.ttf" for name in ("Sans", "Mono", "Serif", "SansNarrow")]
CJK = ["opentype/noto/NotoSansCJK-Regular.ttc"]
TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PHOTOS = Path(__file__).parents[1] / "examples" / "demo" / "photos"


@dataclass(frozen=True)
class Script:
    """Letters of one script: fonts that have them, what tesseract calls it, and words to plant."""

    fonts: Sequence[str]
    language: str
    words: Sequence[str]
    share: int = 1
    """How often it is drawn, in comparison."""

    def font_files(self) -> list[Path]:
        """The fonts that are installed."""
        return [FONTS / name for name in self.fonts if (FONTS / name).exists()]


def _noto(name: str) -> list[str]:
    return [f"truetype/noto/NotoSans{name}-Regular.ttf"]


LATIN = (
    *("DOE^JANE", "ID 4711-0815", "Müller, Zoë", "Smith John", "1970-01-02", "12.03.1958 14:22", "St. Mary Hospital"),
    *("PAT 00047431395", "Łukasz Żak", "O'BRIEN", "Acc# A2020-1187", "DOB 07/21/1944", "Dr. Garcia-Perez"),
)
SCRIPTS: Mapping[str, Script] = {
    "latin": Script([*DEJAVU, *LIBERATION], "eng", LATIN, share=8),
    "cyrillic": Script([*DEJAVU, *_noto("")], "rus", ("Иванов Пётр", "Шевченко", "Больница 12")),
    "greek": Script([*DEJAVU, *_noto("")], "ell", ("Παπαδόπουλος", "Ελένη 1961")),
    "han": Script(CJK, "chi_sim", ("山田太郎", "王小明 男", "上海医院", "北京大学")),
    "kana": Script(CJK, "jpn", ("ヤマダ タロウ", "さくら びょういん")),
    "hangul": Script(CJK, "kor", ("김민준", "서울병원")),
    "arabic": Script(_noto("Arabic"), "ara", ("محمد علي", "مستشفى")),
    "hebrew": Script(_noto("Hebrew"), "heb", ("כהן שרה", "בית חולים")),
    "devanagari": Script(_noto("Devanagari"), "hin", ("राम कुमार", "अस्पताल")),
    "bengali": Script(_noto("Bengali"), "ben", ("রহিম উদ্দিন",)),
    "tamil": Script(_noto("Tamil"), "tam", ("முருகன்",)),
    "thai": Script(_noto("Thai"), "tha", ("สมชาย ใจดี", "โรงพยาบาล")),
    "armenian": Script(_noto("Armenian"), "hye", ("Արամ Պետրոսյան",)),
    "georgian": Script(_noto("Georgian"), "kat", ("ნინო ბერიძე",)),
}


@dataclass(frozen=True, eq=False)
class PlantedString:
    """One string and where its letters are."""

    text: str
    script: str
    size_px: int
    contrast: float
    turn: int
    box: tuple[int, int, int, int]
    """Left, top, right, bottom."""
    ink: npt.NDArray[np.bool_]
    """(bottom - top, right - left): pixels of which the letters cover more than half."""


@dataclass(frozen=True, eq=False)
class PlantedPicture:
    """One picture as an object holds it, and its strings."""

    frames: StoredFrames
    background: str
    strings: tuple[PlantedString, ...]


def planted_picture(
    seed: int,
    backgrounds: Mapping[str, npt.NDArray[Any]],
    scripts: Mapping[str, Script] = SCRIPTS,
    side_px: int = SIDE_PX,
) -> PlantedPicture:
    """A square picture with four strings that do not touch each other; the same for the same seed, side and fonts.

    ValueError where no place for them is found.
    """
    chance = random.Random(seed)
    name = chance.choice(sorted(backgrounds))
    picture = _cut(backgrounds[name], chance, side_px).astype(np.float64)
    most = 4095.0 if picture.max() > 255 else 255.0
    usable = {one: script for one, script in scripts.items() if script.font_files()}
    drawn = [one for one, script in usable.items() for _ in range(script.share)]
    strings: list[PlantedString] = []
    taken = np.zeros(picture.shape[:2], np.bool_)
    for _ in range(MOST_TRIES):
        script = chance.choice(drawn)
        string = _planted(picture, taken, chance, script, usable[script], most)
        if string is not None:
            strings.append(string)
        if len(strings) == STRINGS_PER_PICTURE:
            break
    else:
        raise ValueError(
            f"found no place for {STRINGS_PER_PICTURE} strings in {side_px} pixels; take another seed or side"
        )
    kind = np.uint16 if most > 255 else np.uint8
    stored = picture.clip(0, most).round().astype(kind)[None]
    shown = Shown.RGB if picture.ndim == 3 else Shown.GREY
    return PlantedPicture(StoredFrames(stored, shown, 8 * stored.dtype.itemsize), name, tuple(strings))


def plain_backgrounds() -> dict[str, npt.NDArray[Any]]:
    """Frames of pydicom's files, photographs of the demo, and computed ones: everything that needs no download."""
    found: dict[str, npt.NDArray[Any]] = {}
    for name in ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "693_J2KI.dcm", "examples_ybr_color.dcm"):
        if (TEST_FILES / name).exists():
            pixels = pydicom.dcmread(TEST_FILES / name).pixel_array
            found[name] = pixels[0] if pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[2] != 3) else pixels
    for path in sorted(PHOTOS.glob("*.jpg"))[::4]:
        found[path.name] = np.asarray(Image.open(path).convert("RGB"))
    noise = np.random.default_rng(1)
    found["noise"] = noise.normal(110, 8, (SIDE_PX, SIDE_PX)).clip(0, 255).astype(np.uint8)
    found["black"] = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    found["grey"] = np.full((SIDE_PX, SIDE_PX, 3), 180, np.uint8)
    return found


def _cut(background: npt.NDArray[Any], chance: random.Random, side_px: int) -> npt.NDArray[Any]:
    """A square piece; what is smaller is enlarged, twelve bits stay twelve bits from 0 up."""
    values = background.astype(np.float64)
    if background.dtype != np.uint8:
        values = (values - values.min()) * (4095 / max(values.max() - values.min(), 1))
    height, width = values.shape[:2]
    shortest = min(height, width)
    if shortest < side_px:
        size = (round(width * side_px / shortest), round(height * side_px / shortest))
        planes = [values] if values.ndim == 2 else list(np.moveaxis(values, 2, 0))
        large = [np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, 3)) for plane in planes]
        values = large[0] if values.ndim == 2 else np.stack(large, axis=2)
        height, width = values.shape[:2]
    top, left = chance.randrange(height - side_px + 1), chance.randrange(width - side_px + 1)
    return np.ascontiguousarray(values[top : top + side_px, left : left + side_px])


def _planted(
    picture: npt.NDArray[np.float64],
    taken: npt.NDArray[np.bool_],
    chance: random.Random,
    name: str,
    script: Script,
    most: float,
) -> PlantedString | None:
    """Draw one string where none is; None when it does not fit."""
    text, size, turn = chance.choice(list(script.words)), chance.choice(SIZES_PX), chance.choice(TURNS)
    letters = _letters(text, chance.choice(script.font_files()), size, turn)
    height, width = letters.shape
    side_px = len(picture)
    if height > side_px or width > side_px:
        return None
    top, left = chance.randrange(side_px - height + 1), chance.randrange(side_px - width + 1)
    gap = GAP_PX * side_px // SIDE_PX
    around = taken[max(0, top - gap) : top + height + gap, max(0, left - gap) : left + width + gap]
    if around.any():
        return None
    around[:] = True
    contrast = chance.choice(CONTRASTS)
    place = picture[top : top + height, left : left + width]
    level = float(place.mean())
    end = most if level < most / 2 else 0.0
    colour = [level + contrast * (end - level) * (chance.uniform(0.5, 1) if picture.ndim == 3 else 1) for _ in range(3)]
    value: Any = colour if picture.ndim == 3 else colour[0]
    share = letters[..., None] if picture.ndim == 3 else letters
    place[:] = place * (1 - share) + np.asarray(value) * share
    box = (left, top, left + width, top + height)
    return PlantedString(text, name, size, contrast, turn, box, letters > 0.5)


def _letters(text: str, font_file: Path, size_px: int, turn: int) -> npt.NDArray[np.float64]:
    """How much of each pixel the letters cover, 0 to 1, cut to the letters."""
    font = ImageFont.truetype(str(font_file), size_px)
    left, top, right, bottom = font.getbbox(text)
    drawn = Image.new("L", (round(right - left) + 2, round(bottom - top) + 2))
    ImageDraw.Draw(drawn).text((1 - left, 1 - top), text, fill=255, font=font)
    resample = Image.Resampling.BICUBIC if turn % 90 else Image.Resampling.NEAREST
    return np.asarray(drawn.rotate(turn, expand=True, resample=resample), np.float64) / 255
