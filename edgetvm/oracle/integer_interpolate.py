"""What `edgetvm.interpolate` computes, in numpy: along one axis after another a product with a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def interpolate(arguments: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Codes or sums, and places and weights of each axis -> sums."""
    value = arguments[0].astype(np.int64)
    for axis, places, weights in zip(attributes["axes"], arguments[1::2], arguments[2::2], strict=True):
        outputs = places.shape[0]
        matrix = np.zeros((outputs, value.shape[int(axis)]), np.int64)
        np.add.at(matrix, (np.arange(outputs)[:, None], places), weights)
        value = np.moveaxis(np.tensordot(matrix, value, (1, int(axis))), 0, int(axis))
    limit = np.iinfo(str(attributes["dtype"]))
    if value.size and (value.min() < limit.min or value.max() > limit.max):
        raise OverflowError(f"a sum of {int(value.min())}..{int(value.max())} does not fit {attributes['dtype']}")
    return value.astype(str(attributes["dtype"]))
