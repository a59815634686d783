"""What a source brings: pictures, texts and vectors, each with the record that it described. On the device only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput
from unseen_client.records import Record
from unseen_client.source_file import PictureFile

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Brought:
    """Inputs of one enrolment, in the order of their sources."""

    pictures: Sequence[tuple[PictureFile, Record]] = ()
    texts: Sequence[tuple[str, Record]] = ()
    vectors: Sequence[tuple[Float32Array, Record]] = field(default=(), repr=False)
    """(d,), each with the id of its row in the record."""

    @property
    def size(self) -> int:
        return len(self.pictures) + len(self.texts) + len(self.vectors)


def together(parts: Sequence[Brought]) -> Brought:
    """What several sources bring, in their order."""
    return Brought(
        [one for part in parts for one in part.pictures],
        [one for part in parts for one in part.texts],
        [one for part in parts for one in part.vectors],
    )


def stacked(vectors: Sequence[Float32Array]) -> Float32Array:
    """Vectors of one length as an array (n, d); raises InvalidInput."""
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1:
        raise InvalidInput(f"got vectors of {len(lengths)} lengths, from {min(lengths)} to {max(lengths)}; give one")
    return np.stack(vectors)
