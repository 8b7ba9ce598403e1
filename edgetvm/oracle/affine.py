"""Numbers and the codes that stand for them, in single precision as ONNX defines it."""

from __future__ import annotations

import numpy as np

from edgetvm.oracle.dataset import Array


def codes_of(numbers: Array, scale: Array, zero: Array, dtype: str) -> Array:
    """``clamp(rint(x / scale) + zero)``, half to even; `scale` float32 and `zero` broadcast to the numbers."""
    info = np.iinfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.rint(numbers.astype(np.float32) / scale) + zero.astype(np.float32)
    return np.asarray(np.clip(steps, np.float32(info.min), np.float32(info.max)).astype(dtype))


def numbers_of(codes: Array, scale: Array, zero: Array) -> Array:
    """``(code - zero) * scale`` as float32."""
    difference = codes.astype(np.int32) - zero.astype(np.int32)
    return np.asarray(difference.astype(np.float32) * scale)
