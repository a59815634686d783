"""The options that say how faces are covered: the same for `unseen deid` and for `unseen enrol`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from unseen.deid.settings import DeidSettings, Method, Region, Shape, Turned
from unseen.errors import InvalidInput

DEFAULT = DeidSettings()


@dataclass(frozen=True)
class FaceOptions:
    """What a person may choose about covering faces."""

    method: Annotated[Method, typer.Option(help="What stands where a face was; solid leaves nothing of it.")] = (
        DEFAULT.method
    )
    threshold: Annotated[float, typer.Option(help="Scores above it count as faces, 0 to 1.")] = DEFAULT.threshold
    mask_scale: Annotated[float, typer.Option(help="How much larger than the found box is covered.")] = (
        DEFAULT.mask_scale
    )
    shape: Annotated[Shape, typer.Option(help="Outline of what is covered.")] = DEFAULT.shape
    cells: Annotated[int, typer.Option(help="Blur, mosaic: cells along a face's longer side.")] = DEFAULT.cells
    smallest_face: Annotated[
        float,
        typer.Option(help="Leave found faces below this share of the picture's longer side."),
    ] = DEFAULT.smallest_face
    largest_face: Annotated[float, typer.Option(help="Leave found faces above this share.")] = DEFAULT.largest_face
    cover: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L,T,R,B",
            help="Always cover this region, in shares of width and height; may be repeated.",
        ),
    ] = None
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="L,T,R,B", help="Never cover a face whose middle is in this region."),
    ] = None
    turned: Annotated[
        Turned,
        typer.Option(help="Look for turned faces too; auto: when the file does not say which side is up."),
    ] = DEFAULT.turned
    look: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PX",
            help="Long side to look at, 640 and 192 when left out; may be repeated.",
        ),
    ] = None

    def settings(self) -> DeidSettings:
        """The choices, checked; InvalidInput."""
        return DeidSettings(
            method=self.method,
            threshold=self.threshold,
            mask_scale=self.mask_scale,
            shape=self.shape,
            cells=self.cells,
            smallest_face=self.smallest_face,
            largest_face=self.largest_face,
            always_cover=tuple(_region(text) for text in self.cover or ()),
            never_cover=tuple(_region(text) for text in self.keep or ()),
            turned=self.turned,
            long_sides_px=tuple(self.look or DEFAULT.long_sides_px),
        )


def _region(text: str) -> Region:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInput(
            f"got the region {text!r}, expected four shares such as 0,0,1,0.1: left, top, right, bottom"
        ) from error
    return left, top, right, bottom
