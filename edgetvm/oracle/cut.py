"""One row of the user's array becomes one input of the model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, Tensor, describe


class Cut:
    """Takes the window if one was asked for, the shape and the dtype; refuses rows that cannot fit."""

    def __init__(self, path: Path, name: str, shape: tuple[int, ...], tensor: Tensor, window: int | None) -> None:
        self.tensor, self.window, self.windows = tensor, window, 1
        wanted = f"input '{tensor.name}' of the model takes {describe(tensor.shape)}"
        if window is not None:
            if len(shape) != 2:
                raise DataError(f"{path}: samples of '{name}' are {describe(shape)}, a window needs [rows, features]")
            if not 1 <= window <= shape[0]:
                raise DataError(
                    f"{path}: samples of '{name}' have {shape[0]} rows, a window of {window} is not in them"
                )
            if window * shape[1] != math.prod(tensor.shape):
                size = window * shape[1]
                raise DataError(f"{path}: a window of {window} rows of '{name}' has {size} elements, {wanted}")
            self.windows = shape[0] - window + 1
            return
        if math.prod(shape) != math.prod(tensor.shape):
            raise DataError(f"{path}: samples of '{name}' are {describe(shape)}, {wanted}")
        given, taken = _real(shape), _real(tensor.shape)
        if given != taken and sorted(given) == sorted(taken):
            # A reshape would be legal here and silently scramble every picture.
            raise DataError(
                f"{path}: samples of '{name}' are {describe(shape)}, in another order of axes than {wanted}",
                hint="transpose the array before saving it",
            )

    def __call__(self, row: Array, part: int) -> Array:
        value = row if self.window is None else row[part : part + self.window]
        return np.ascontiguousarray(value.reshape(self.tensor.shape), dtype=np.dtype(self.tensor.dtype))


def _real(shape: tuple[int, ...]) -> list[int]:
    return [extent for extent in shape if extent != 1]
