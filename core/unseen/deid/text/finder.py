"""Where there is text: PP-OCRv6's detector (PaddleOCR, Apache-2.0; "DB", Liao et al. 2020) through onnxruntime.

For the device only. Holds a picture for the length of a call. Boxes and scores stay on the device.

Letters of any script are found, not read. A line that is missed costs more than one that is none, so the threshold is
low and a picture is looked at in several ways; what any look finds counts:

    as it is .............. at its own size, in pieces
    evened out ............ each place stretched to its own contrast: print that is hardly darker than its background
    evened out, twice ..... and enlarged: letters of ten pixels
    whole ................. reduced to one piece where it was more: letters that fill the picture
    in bands, twice ....... only what has nearly one brightness, band by band: print over a pattern that hides it
    evened out, 2.5 times . at another size once more: the network sees faint letters in one raster and not in the next

Under every piece the network is shown a strip of plain print. Without it a picture that holds no text excites the
network as if it were one huge letter (a third of a CT slice, half of an MR slice); beside real letters it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from unseen.deid.text.blend import blended, grained
from unseen.deid.text.patches import Mask, Patch, grown, patches_of
from unseen.errors import ImageRefused, InvalidConfiguration, InvalidInput
from unseen.pixels import Pixels
from unseen.weights import open_session, read_manifest

Chances = npt.NDArray[np.float32]
FOLDER = Path(__file__).parent / "models"
MODEL_FILE = "text_finder.onnx"
SIDE_MULTIPLE_PX = 32
"""The network halves its picture five times."""
STRIP_PX = 64
STRIP_TEXT, STRIP_LETTER_PX = "Reference text 0123456789 ", 28
THINNEST_PX, THICK_PX, THICKEST_PX = 2.5, 20, 40
"""The detector marks the middle of a line, some two fifths of the letters' height: letters of up to 100 pixels."""
LEAST_MEAN, LEAST_MEAN_OF_THICK = 0.25, 0.6
"""Mean chance within a line. Faint print reaches the first, and no line of large letters has less than the second;
textures that excite the detector over a wide area stay below."""
LEVELS = (0.3, 0.5, 0.7, 0.85, 0.95)
TILE_PX = 1024
"""Larger pictures are looked at in pieces of at most this side: 600 MB of memory at once instead of gigabytes."""
OVERLAP_PX = 128
"""What two neighbouring pieces share: a line that the edge of one cuts lies whole in the other."""
EVEN_RADIUS_PX = 16
"""As shown to the network: an enlarged look evens out smaller places, so that a strong edge twelve pixels away does not
hide faint letters of ten."""
EVEN_FLOOR = 3.0
"""Grey levels: where a place differs from its surroundings by less than that, it is not stretched into noise."""
EVEN_SPREAD = 40.0
GROWTH = 1.0
"""The detector marks the middle of a line; a line is painted this many times its thickness beyond it, on every side."""
MARGIN_PX = 2


@dataclass(frozen=True)
class Look:
    """One way to look: enlarged or reduced by a factor, as it is, evened out, or in bands of brightness."""

    scale: float
    even: bool = False
    in_bands: bool = False
    grained: bool = False
    """Painted places are shown with the grain of what is around them. Beside smooth ones speckle looks like print, so
    that every look at an ultrasound found some more of it beside what the last had had painted."""

    def __str__(self) -> str:
        return f"x{self.scale:g}{' evened' if self.even else ''}{' in bands' if self.in_bands else ''}"

    def pictures(self, pixels: Pixels) -> list[Pixels]:
        """What is shown to the network for a picture: one or several, at the picture's own size."""
        if self.in_bands:
            return _in_bands(pixels)
        return [_evened(pixels, round(EVEN_RADIUS_PX / self.scale)) if self.even else pixels]


DEFAULT_LOOKS = (Look(1.0), Look(1.0, even=True), Look(2.0, even=True))
THOROUGH_LOOKS = (Look(2.0, in_bands=True, grained=True), Look(2.5, even=True, grained=True))
"""Five times as much work as the largest of the others: for a last look at what they found nothing more in."""
BANDS, BANDS_AT_ONCE = 12, 3
THRESHOLD = 0.2
"""The chance that some pixel of a line must reach."""
EXTENT = 0.5
"""A line goes on for as long as the chance is this share of the threshold."""


@dataclass(frozen=True, eq=False)
class Line:
    """A found line of text: the box left, top, right, bottom (excluded) that is painted, in pixels of the picture."""

    box: tuple[int, int, int, int]
    score: float
    """The detector's largest chance in it, 0 to 1."""
    inside: Mask
    """(bottom - top, right - left): which pixels of the box belong to the line, its margin included."""


class TextFinder:
    """Finds lines of text. Opened at the first picture; safe for several threads."""

    def __init__(
        self, *, threshold: float = THRESHOLD, looks: Sequence[Look] = DEFAULT_LOOKS, threads: int = 1
    ) -> None:
        """looks: how each picture is looked at; threads: cores that one look may use."""
        if not 0 < threshold < 1 or not looks or not all(0 < look.scale <= 4 for look in looks):
            raise InvalidConfiguration(
                f"got threshold={threshold} and {len(looks)} looks, expected a threshold between 0 and 1 and at least "
                "one look at a scale of at most 4"
            )
        self.threshold = threshold
        self.looks = tuple(looks)
        self._threads = threads
        self._manifest = read_manifest(FOLDER)
        self._lock = Lock()

    @property
    def detector_sha256(self) -> str:
        """The hash of the network's file, as pinned."""
        return self._manifest.files[MODEL_FILE].sha256

    def find(
        self, views: Sequence[Pixels], painted: Mask | None = None, *, looks: Sequence[Look] | None = None
    ) -> list[Line]:
        """Return the lines of text in a picture, in reading order.

        views: the picture in every way in which it may be shown, uint8 (height, width, 3) each; painted: (height,
        width), pixels that hold paint: nothing is there, and its hard edges are blended away before looking; looks:
        other ways to look than the finder's own.

        Raises:
            ImageRefused: it cannot look.
            InvalidInput: no view, no such picture, or views of different sizes.
        """
        shape = views[0].shape if views else ()
        for view in views or [np.zeros((), np.uint8)]:
            if view.dtype != np.uint8 or view.ndim != 3 or view.shape[2] != 3 or 0 in view.shape or view.shape != shape:
                raise InvalidInput(
                    f"got pixels of shape {view.shape} and type {view.dtype}, expected (height, width, 3) of uint8, "
                    "the same for every view"
                )
        found = np.zeros(shape[:2], np.float32)
        chosen = tuple(looks or self._looks_at(*shape[:2]))
        for view in views:
            seen = {grain: _filled(view, painted, grain) for grain in {look.grained for look in chosen}}
            for look in chosen:
                chances = self._look(seen[look.grained], look)
                if painted is not None:
                    chances[painted] = 0
                for patch in _lines(chances, self.threshold, look.scale):
                    left, top, right, bottom = patch.box
                    part = found[top:bottom, left:right]
                    part[patch.inside] = np.maximum(part, chances[top:bottom, left:right])[patch.inside]
        return [_line(patch, found) for patch in patches_of(found > 0)]

    def close(self) -> None:
        """Let go of the network; a later call reads it again."""
        with self._lock:
            self.__dict__.pop("_network", None)

    @cached_property
    def _network(self) -> ort.InferenceSession:
        return open_session(self._manifest.read(MODEL_FILE), self._threads)

    @cached_property
    def _strip(self) -> npt.NDArray[np.float32]:
        strip = Image.new("RGB", (TILE_PX + SIDE_MULTIPLE_PX, STRIP_PX))
        font = ImageFont.load_default(STRIP_LETTER_PX)
        ImageDraw.Draw(strip).text((8, 16), STRIP_TEXT * 4, fill="white", font=font)
        return _in_network_units(strip)

    def _looks_at(self, height: int, width: int) -> Iterator[Look]:
        """The looks, and one at the whole of a picture that does not fit one piece: its largest letters would not."""
        yield from self.looks
        whole = TILE_PX / max(height, width)
        if whole < min(look.scale for look in self.looks):
            yield Look(whole)

    def _look(self, pixels: Pixels, look: Look) -> Chances:
        height, width = pixels.shape[:2]
        size = (max(1, round(width * look.scale)), max(1, round(height * look.scale)))
        chances = np.zeros((size[1], size[0]), np.float32)
        for shown in look.pictures(pixels):
            picture = _in_network_units(Image.fromarray(shown).resize(size, Image.Resampling.BILINEAR))
            for rows in _pieces(size[1]):
                for columns in _pieces(size[0]):
                    part = chances[rows, columns]
                    np.maximum(part, self._run(picture[rows, columns])[: part.shape[0], : part.shape[1]], out=part)
        return np.array(Image.fromarray(chances).resize((width, height), Image.Resampling.BILINEAR))

    def _run(self, picture: npt.NDArray[np.float32]) -> Chances:
        """Chance of text for every pixel of a piece, which is filled up to what the network takes."""
        height, width = picture.shape[:2]
        missing = [-side % SIDE_MULTIPLE_PX for side in (height, width)]
        filled = np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        filled = np.concatenate([filled, self._strip[:, : filled.shape[1]]])
        with self._lock:
            network = self._network
        try:
            chances: Chances = network.run(["text"], {"pixels": filled.transpose(2, 0, 1)[None]})[0][0, 0]
        except Exception as error:  # onnxruntime's errors have no common root; any of them means "not looked at"
            raise ImageRefused("the text finder failed, so the picture stays here; try a smaller picture") from error
        if chances.shape != filled.shape[:2] or not np.isfinite(chances).all():
            raise ImageRefused("the text finder gave no numbers, so the picture stays here")
        return chances


def _filled(view: Pixels, painted: Mask | None, grain: bool) -> Pixels:
    """What is shown of a view in which there may be paint."""
    if painted is None:
        return view
    return grained(view, painted) if grain else blended(view, painted)


def _in_network_units(picture: Image.Image) -> npt.NDArray[np.float32]:
    """RGB as numbers from -1 to 1, what PP-OCR was trained on."""
    return np.asarray(picture, np.float32) / np.float32(127.5) - np.float32(1)


def _lines(chances: Chances, threshold: float, scale: float) -> list[Patch]:
    """Patches that reach the threshold and are as thick as a line may be at the scale of a look.

    Where a patch is too thick, what is thin within it at a higher level counts: a line on a texture that excites the
    detector as a whole.
    """
    found: list[Patch] = []
    within = chances > threshold * EXTENT
    for level in (threshold * EXTENT, *LEVELS):
        thick = np.zeros(chances.shape, np.bool_)
        for patch in patches_of(within & (chances > level)):
            left, top, right, bottom = patch.box
            if patch.thickness * scale > THICKEST_PX:
                thick[top:bottom, left:right] |= patch.inside
            elif _is_line(patch, chances[top:bottom, left:right][patch.inside], threshold, scale):
                found.append(patch)
        if not thick.any():
            return found
        within = thick
    return found


def _is_line(patch: Patch, chances: Chances, threshold: float, scale: float) -> bool:
    thickness = patch.thickness * scale
    least_mean = LEAST_MEAN_OF_THICK if thickness > THICK_PX else LEAST_MEAN
    return thickness >= THINNEST_PX and chances.max() > threshold and chances.mean() > least_mean


def _pieces(side: int) -> list[slice]:
    """Slices of at most TILE_PX that overlap by OVERLAP_PX or more and cover a side."""
    if side <= TILE_PX:
        return [slice(0, side)]
    count = -(-(side - OVERLAP_PX) // (TILE_PX - OVERLAP_PX))
    starts = [round(at * (side - TILE_PX) / (count - 1)) for at in range(count)]
    return [slice(start, start + TILE_PX) for start in starts]


def _evened(pixels: Pixels, radius: int) -> Pixels:
    """Every place as its difference from its surroundings, in units of what is usual there."""
    values = pixels.astype(np.float32)
    difference = values - _blurred(pixels, radius)
    usual = _blurred(np.clip(np.abs(difference).mean(axis=2) * 4, 0, 255).astype(np.uint8), radius) / 4 + EVEN_FLOOR
    return np.clip(128 + difference / usual[..., None] * EVEN_SPREAD, 0, 255).astype(np.uint8)


def _in_bands(pixels: Pixels) -> list[Pixels]:
    """For each band of brightness how well every pixel fits it; three bands are the colours of one picture."""
    grey = pixels.astype(np.float32).mean(axis=2)
    width = 256 / BANDS
    bands = [np.clip(1.5 - np.abs(grey - (at + 0.5) * width) / width, 0, 1) * 255 for at in range(BANDS)]
    apart = BANDS // BANDS_AT_ONCE  # bands in one picture lie far from each other
    return [np.stack(bands[at::apart], axis=2).astype(np.uint8) for at in range(apart)]


def _blurred(pixels: Pixels, radius: int) -> npt.NDArray[np.float32]:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.BoxBlur(radius)), np.float32)


def _line(patch: Patch, chances: Chances) -> Line:
    """A patch with its margin, inside the picture."""
    left, top, right, bottom = patch.box
    score = float(chances[top:bottom, left:right][patch.inside].max())
    margin = round(patch.thickness * GROWTH) + MARGIN_PX
    inside = grown(patch.inside, margin)
    height, width = chances.shape
    box = (max(left - margin, 0), max(top - margin, 0), min(right + margin, width), min(bottom + margin, height))
    rows = slice(box[1] - (top - margin), box[3] - (top - margin))
    columns = slice(box[0] - (left - margin), box[2] - (left - margin))
    return Line(box, score, inside[rows, columns])
