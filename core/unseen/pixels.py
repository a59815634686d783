"""A decoded picture, as every step on the device hands it to the next. The server never holds one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3) of red, green and blue, or (height, width) of grey where a step says so."""
