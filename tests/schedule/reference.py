"""What convolutions and pools compute, written in numpy from their definition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A sliding window over the two middle axes of NHWC; pads are top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def fits(self, height: int, width: int) -> bool:
        return min(self.size(height, 0), self.size(width, 1)) > 0

    def size(self, extent: int, axis: int) -> int:
        reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
        return (extent + self.pads[axis] + self.pads[axis + 2] - reach) // self.strides[axis] + 1

    def positions(self, x: np.ndarray, fill: float) -> Iterator[tuple[int, int, np.ndarray]]:
        """(i, j, what kernel element (i, j) sees at every output position)."""
        height, width = self.size(x.shape[1], 0), self.size(x.shape[2], 1)
        top, left, bottom, right = self.pads
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows = i * self.dilation[0] + self.strides[0] * np.arange(height)
                columns = j * self.dilation[1] + self.strides[1] * np.arange(width)
                yield i, j, padded[:, rows][:, :, columns]


def conv2d(x: np.ndarray, w: np.ndarray, window: Window, groups: int = 1) -> np.ndarray:
    """NHWC by HWIO, summed in double precision."""
    inside, outside = x.shape[3] // groups, w.shape[3] // groups
    parts = []
    for group in range(groups):
        own = x[..., group * inside : (group + 1) * inside].astype(np.float64)
        kernels = w[..., group * outside : (group + 1) * outside].astype(np.float64)
        parts.append(sum(seen @ kernels[i, j] for i, j, seen in window.positions(own, 0)))
    return np.concatenate(parts, -1)


def max_pool(x: np.ndarray, window: Window) -> np.ndarray:
    return np.max([seen for _, _, seen in window.positions(x, -np.inf)], axis=0)


def average_pool(x: np.ndarray, window: Window, count_padding: bool) -> np.ndarray:
    total = sum(seen for _, _, seen in window.positions(x.astype(np.float64), 0))
    return total / sum(seen for _, _, seen in window.positions(np.ones_like(x), float(count_padding)))
