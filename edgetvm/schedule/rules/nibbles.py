"""Weights of 4 bits: which constants fit, and what becomes of sums of products with a power of two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import tirx

NIBBLE = 4  # bits
_LARGEST = 1 << 7  # an activation's magnitude


def are_nibbles(arrays: Sequence[np.ndarray]) -> bool:
    """Whether all are numbers of 4 bits."""
    return all(array.min() >= -8 and array.max() <= 7 for array in arrays)


def have_room(arrays: Sequence[np.ndarray], bits: int) -> bool:
    """Whether sums of products of int8 and weights ``[..., O]`` fit 32 bits when `bits` are added to them."""
    sums = [np.abs(array.astype(np.int64)).reshape(-1, array.shape[-1]).sum(0) for array in arrays]
    return max(int(each.max()) for each in sums) * _LARGEST < 1 << (31 - bits)


def unscaled(total: tirx.Expr, bits: int, bias: tirx.Expr | None) -> tirx.Expr:
    """A sum that is ``2 ** bits`` times too large as it is meant, and a bias.

    Added without signs: of a sum that cannot overflow LLVM would widen both parts to 64 bits instead.
    """
    plain = tirx.RShift(total, tirx.const(bits, "int32"))
    if bias is None:
        return plain
    return tirx.reinterpret("int32", tirx.Add(*(tirx.reinterpret("uint32", part) for part in (bias, plain))))
