"""Photographs in `unseen deid`: decode in a child, cover faces, write pixels anew. Nothing of the file is copied over.

On request text is covered too, before faces are looked for.

Runs where the images are. Holds a picture for the length of a call, and child processes between calls. What it returns
holds pixels and what a format needs to say about them: no EXIF, no thumbnail, no comment, no colour profile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from io import BytesIO

from PIL import Image

from unseen.deid.deidentify import deidentify
from unseen.deid.draw import drawn
from unseen.deid.faces import FaceFinder
from unseen.deid.report import CoverReport
from unseen.deid.settings import DeidSettings
from unseen.deid.text.cover import cover_text
from unseen.deid.text.draw import drawn_lines
from unseen.deid.text.finder import TextFinder
from unseen.deid.text.report import TextReport
from unseen.errors import InvalidConfiguration
from unseen.pixels import Pixels
from unseen_client.decode import LARGEST_SIDE_PX, SMALLEST_SIDE_PX, Decoder
from unseen_client.decode_child import LARGEST_FILE_BYTES
from unseen_client.deid.pipeline import Cleaned, Facts

QUALITIES = range(1, 101)
PHOTO = "photo"
"""What the description of this pipeline calls it."""


class PhotoFormat(StrEnum):
    """What covered photographs are written as."""

    KEEP = "keep"
    """JPEG, PNG and WebP as they were; GIF, BMP and TIFF as PNG."""
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"


@dataclass(frozen=True)
class PhotoOutput:
    """How covered photographs are written; InvalidConfiguration for values that make no sense."""

    format: PhotoFormat = PhotoFormat.KEEP
    quality: int = 90
    """Of JPEG and WebP, 1 to 100."""
    longest_side_px: int | None = None
    """Larger pictures are reduced to it before anything else; None keeps their size. 1280 gives the very pixels that
    enrolment embeds."""

    def __post_init__(self) -> None:
        side = self.longest_side_px
        known = self.format in set(PhotoFormat)
        if not known or self.quality not in QUALITIES or not (side is None or _is_side(side)):
            raise InvalidConfiguration(
                f"got {asdict(self)}, expected a format of {', '.join(PhotoFormat)}, a quality of 1 to 100 and a "
                f"longest side of {SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX} px"
            )
        object.__setattr__(self, "format", PhotoFormat(self.format))


class PhotoPipeline:
    """One photograph in, a covered one out, or ImageRefused. Safe for several threads."""

    largest_file_bytes = LARGEST_FILE_BYTES

    def __init__(
        self, settings: DeidSettings, output: PhotoOutput, workers: int | None = None, *, text: TextFinder | None = None
    ) -> None:
        """text: finds the text that is covered as well; None leaves text alone."""
        self._settings = settings
        self._text = text
        self._output = output
        self._finder = FaceFinder(threshold=settings.threshold, long_sides_px=settings.long_sides_px)
        self._decoder = Decoder(workers=workers, longest_side_px=output.longest_side_px or LARGEST_SIDE_PX)

    def description(self) -> Facts:
        """Return the release, the detector and every setting."""
        return {
            "pipeline": PHOTO,
            "release": version("unseen"),
            "detector_sha256": self._finder.detector_sha256,
            "settings": self._settings.as_dict(),
            "output": asdict(self._output),
            "text_finder_sha256": self._text.detector_sha256 if self._text else "",
        }

    def clean(self, data: bytes) -> Cleaned:
        """Return the covered photograph; ImageRefused."""
        _, covered, report, text = self._covered(data)
        kind = self._output.format if self._output.format is not PhotoFormat.KEEP else _kept(data)
        encoded = _encoded(covered, kind, self._output.quality)
        return Cleaned(encoded, _SUFFIXES[kind], _facts(report, text), _count(report, text))

    def preview(self, data: bytes) -> Cleaned:
        """Return a PNG of the photograph with boxes and scores drawn: faces are visible in it. ImageRefused."""
        pixels, _, report, text = self._covered(data)
        picture = drawn(pixels, report)
        picture = drawn_lines(picture, text.lines) if text else picture
        return Cleaned(_encoded(picture, PhotoFormat.PNG, 0), ".png", _facts(report, text), _count(report, text))

    def close(self) -> None:
        """End child processes and let go of the detector."""
        self._decoder.close()
        self._finder.close()
        if self._text is not None:
            self._text.close()

    def _covered(self, data: bytes) -> tuple[Pixels, Pixels, CoverReport, TextReport | None]:
        picture = self._decoder.picture(data)
        pixels, text = picture.pixels, None
        if self._text is not None:
            pixels, text = cover_text(pixels, self._text)
        covered, report = deidentify(pixels, self._finder, self._settings, upright=picture.upright)
        return picture.pixels, covered, report, text


_SUFFIXES = {PhotoFormat.JPEG: ".jpg", PhotoFormat.PNG: ".png", PhotoFormat.WEBP: ".webp"}


def _is_side(side: int) -> bool:
    return SMALLEST_SIDE_PX <= side <= LARGEST_SIDE_PX


def _kept(data: bytes) -> PhotoFormat:
    if data.startswith(b"\xff\xd8"):
        return PhotoFormat.JPEG
    return PhotoFormat.WEBP if data[8:12] == b"WEBP" else PhotoFormat.PNG


def _encoded(pixels: Pixels, kind: PhotoFormat, quality: int) -> bytes:
    how = {"compress_level": 3} if kind is PhotoFormat.PNG else {"quality": quality}
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind.value.upper(), **how)
    return buffer.getvalue()


def _facts(report: CoverReport, text: TextReport | None) -> Facts:
    faces = {name: fact for name, fact in report.as_dict().items() if name not in {"settings", "detector_sha256"}}
    return {**faces, "text": text.as_dict()["lines"]} if text else faces


def _count(report: CoverReport, text: TextReport | None) -> int:
    return report.faces_covered + len(report.settings.always_cover) + (text.lines_covered if text else 0)
