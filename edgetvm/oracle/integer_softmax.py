"""What `edgetvm.softmax` computes, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def softmax(arguments: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Codes [rows, elements] and the table of powers -> codes of the softmax of each row."""
    x, table = (argument.astype(np.int64) for argument in arguments)
    distance = x.max(axis=1, keepdims=True) - x
    if arguments[0].dtype == np.int8:
        power = table[distance]
    else:
        high = np.minimum(distance // 256, len(table) - 257)
        power = (table[256 + high] * table[distance % 256] + 2**39) // 2**40
    probability = power * (2**50 // power.sum(axis=1, keepdims=True)) >> 20
    shift = int(attributes["shift"])
    scaled = (probability * int(attributes["multiplier"]) + (1 << (shift - 1))) >> shift
    codes = np.clip(scaled + int(attributes["zero_point"]), int(attributes["low"]), int(attributes["high"]))
    return np.asarray(codes.astype(str(attributes["dtype"])))
