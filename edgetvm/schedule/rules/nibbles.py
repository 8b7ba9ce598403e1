"""Weights of 4 bits: which constants fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NIBBLE = 4  # bits


def are_nibbles(arrays: Sequence[np.ndarray]) -> bool:
    """Whether all are numbers of 4 bits."""
    return all(array.size and array.min() >= -8 and array.max() <= 7 for array in arrays)
