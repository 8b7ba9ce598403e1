"""Seeded random inputs for a model whose user has no data at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, Dataset, Sample, Tensor

Ranges = Mapping[str, tuple[float, float]]


def random_data(inputs: Sequence[Tensor], samples: int, seed: int = 0, ranges: Ranges | None = None) -> Dataset:
    """`samples` random samples of `inputs`; the same seed gives the same bytes, in any order of access.

    Floats are standard normal, 8-bit integers span their dtype, other integers are 0 or 1
    (an index, a mask and a token are all happy with those); `ranges` gives an input, by name,
    an inclusive interval to be uniform in instead.
    """
    if samples < 1:
        raise DataError(f"{samples} random samples: at least 1 is needed")
    bounds = dict(ranges or {})

    def fetch(index: int) -> Sample:
        generator = np.random.default_rng((seed, index))
        return {tensor.name: _draw(generator, tensor, bounds.get(tensor.name)) for tensor in inputs}

    return Dataset(f"random data (seed {seed})", samples, fetch)


def _draw(generator: np.random.Generator, tensor: Tensor, bounds: tuple[float, float] | None) -> Array:
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        if bounds is None:
            return generator.standard_normal(tensor.shape).astype(dtype)
        return generator.uniform(*bounds, tensor.shape).astype(dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, tensor.shape).astype(dtype)
    if bounds is None:
        info = np.iinfo(dtype)
        bounds = (info.min, info.max) if dtype.itemsize == 1 else (0, 1)
    return generator.integers(int(bounds[0]), int(bounds[1]), tensor.shape, dtype=dtype, endpoint=True)
