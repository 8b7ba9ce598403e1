"""Real numbers as integers: ``real = scale * (integer - zero_point)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetvm.oracle.dataset import Array

SMALLEST_SCALE = 2.0**-60  # products of two scales must stay normal float32 numbers
LIMITS = {8: (-128, 127), 16: (-32768, 32767)}


@dataclass(frozen=True)
class Affine:
    """How one tensor is held: int8 with any zero point, or int16 with zero point 0.

    scale  a positive float32 number: the step in real units
    """

    scale: float
    zero_point: int
    bits: int = 8

    @property
    def dtype(self) -> str:
        return f"int{self.bits}"


def affine_of_range(low: float, high: float, bits: int = 8) -> Affine:
    """The finest `Affine` that reaches from `low` to `high` and holds 0 exactly.

    An empty range, as of a tensor that is always 0, gets scale 1.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    least, most = LIMITS[bits]
    if bits == 16:
        largest = max(-low, high)
        return Affine(_scale(largest / most), 0, bits)
    scale = _scale((high - low) / (most - least))
    zero_point = round(least - low / scale) if high > low else 0
    return Affine(scale, min(max(zero_point, least), most), bits)


def quantize(x: Array, affine: Affine) -> Array:
    """Integers for real numbers: nearest, ties to even as ONNX does, saturating."""
    least, most = LIMITS[affine.bits]
    steps: Array = np.clip(np.rint(x / affine.scale) + affine.zero_point, least, most)
    return steps.astype(affine.dtype)


def dequantize(q: Array, affine: Affine) -> Array:
    """The real numbers, float64, that the integers stand for."""
    real: Array = (q.astype(np.float64) - affine.zero_point) * affine.scale
    return real


def _scale(value: float) -> float:
    """As float32, positive."""
    return 1.0 if value == 0.0 else float(np.float32(max(value, SMALLEST_SCALE)))
