"""What `edgetvm.layer_norm` computes, in Python's integers of any size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def layer_norm(arguments: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Codes [rows, N], factors and offsets [N] -> codes of the normalized rows."""
    x, gamma, beta = (argument.astype(np.int64) for argument in arguments)
    length = x.shape[1]
    fraction, shift = int(attributes["fraction"]), int(attributes["shift"])
    total = x.sum(axis=1)
    variance = length * (x * x).sum(axis=1) - total * total
    inverse, places = np.empty((2, x.shape[0]), np.int64)
    for row, number in enumerate(variance):
        square = (int(number) << 2 * fraction) + int(attributes["epsilon"])
        spare = (62 - square.bit_length()) // 2
        inverse[row] = 2**61 // math.isqrt(square << 2 * spare)
        places[row] = max(41 - fraction - spare, 1)
    centred = length * x - total[:, None]
    normal = (centred * inverse[:, None] + (np.int64(1) << (places - 1))[:, None]) >> places[:, None]
    codes = np.clip((normal * gamma + beta) >> shift, int(attributes["low"]), int(attributes["high"]))
    return np.asarray(codes.astype(str(attributes["dtype"])))
