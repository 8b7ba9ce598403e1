"""The numbers that Winograd's convolution is computed in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.schedule.rules.dot_kernel import DotKernel
from edgetvm.schedule.rules.winograd_transform import TAPS

CODE = 128  # the largest absolute value of a code of int8


@dataclass(frozen=True)
class Numbers:
    """Types of a kernel's parts.

    element  of transformed tiles and weights
    total    of the sums of their products
    places   weights, and with them the sums, are ``2^places`` times too large, so that they are integers
    """

    element: str
    total: str
    places: int

    @property
    def element_bytes(self) -> int:
        return np.dtype(self.element).itemsize

    @property
    def total_bytes(self) -> int:
        return np.dtype(self.total).itemsize

    @property
    def registers(self) -> int:
        """Registers of the sums of one vector of elements."""
        return self.total_bytes // self.element_bytes


FLOATS = Numbers("float32", "float32", 0)
# Of int8, by tiles of 2x2: four times ``G g G^T`` is of integers.
WORDS = Numbers("int16", "int32", 2)


def is_exact(kernel: DotKernel) -> bool:
    """Whether nothing overflows: transformed codes and weights in 16 bits, in 32 bits all sums of a tile's sums.

    A transform adds up four codes. Four times ``G g G^T`` is at most the sum of nine weights. A pixel is the sum of
    nine positions.
    """
    product = 4 * CODE * TAPS**2 * CODE * kernel.depth
    return TAPS**2 * product < 1 << 31
