"""What `edgetvm.deconvolve` computes, in numpy: each tap scatters its products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def deconvolve(arguments: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Codes [N, spatial..., C] and weights [kernel..., C, M / groups] -> sums [N, sizes..., M]."""
    x, w = (argument.astype(np.int64) for argument in arguments)
    x = x - int(attributes["zero"])
    groups, filters = int(attributes["groups"]), w.shape[-1]
    sizes = [int(size) for size in attributes["sizes"]]
    steps = zip(attributes["strides"], attributes["dilations"], attributes["before"], strict=True)
    geometry = [(int(stride), int(dilation), int(before)) for stride, dilation, before in steps]
    result = np.zeros((x.shape[0], *sizes, groups * filters), np.int64)
    per_group = x.shape[-1] // groups
    for tap in np.ndindex(*w.shape[:-2]):
        sources, targets = [], []
        for k, extent, size, (stride, dilation, before) in zip(tap, x.shape[1:-1], sizes, geometry, strict=True):
            target = np.arange(extent) * stride + k * dilation - before
            kept = (target >= 0) & (target < size)
            sources.append(np.flatnonzero(kept))
            targets.append(target[kept])
        batch = np.arange(x.shape[0])
        for group in range(groups):
            channels = np.arange(group * per_group, (group + 1) * per_group)
            outputs = np.arange(group * filters, (group + 1) * filters)
            product = x[np.ix_(batch, *sources, channels)] @ w[tap][channels]
            result[np.ix_(batch, *targets, outputs)] += product
    return result.astype(str(attributes["dtype"]))
