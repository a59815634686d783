"""Arrays in files that somebody named. Runs on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput


def read_array(path: Path) -> npt.NDArray[Any]:
    """A .npy file, without pickles; raises InvalidInput."""
    try:
        with path.open("rb") as file:
            array: object = np.load(file, allow_pickle=False)
    except Exception as error:  # numpy and what it stands on have no error in common for bytes that are no array
        raise InvalidInput(f"cannot read {path}; give a .npy file as numpy.save writes it") from error
    if not isinstance(array, np.ndarray):
        raise InvalidInput(f"{path} holds several arrays; give a .npy file as numpy.save writes it")
    return array
