"""What `edgetvm.prelu` computes, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def prelu(arguments: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Codes and the factors of those below zero -> codes. Raises OverflowError where a product leaves its type."""
    x, negative = (argument.astype(np.int64) for argument in arguments)
    distance = x - int(attributes["zero"])
    above, below = np.maximum(distance, 0), np.minimum(distance, 0)
    total = above * int(attributes["positive"]) + below * negative + int(attributes["constant"])
    limit = np.iinfo(str(attributes["wide"]))
    if total.size and (total.min() < limit.min or total.max() > limit.max):
        raise OverflowError(f"a sum of {int(total.min())}..{int(total.max())} does not fit {attributes['wide']}")
    codes = np.clip(total >> int(attributes["shift"]), int(attributes["low"]), int(attributes["high"]))
    return np.asarray(codes.astype(str(attributes["dtype"])))
