"""Types of arrays, and the one small number. Shapes stand in the docstrings of those who take them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]
Positions = NDArray[np.intp]
Progress = Callable[[str, int, int], None]  # called with (what, done, of)
TINY = float(np.finfo(np.float64).tiny)  # divides where a variance or a norm may be 0
