"""How far outputs are from their reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, Sample, describe
from edgetvm.report.types import OutputError

# By dtype of an output; what is not here must be equal.
TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-4}


def compare(reference: Sequence[Sample], actual: Sequence[Sample], half: bool = False) -> tuple[OutputError, ...]:
    """The error of every output in `actual`, over the samples; both hold one dict of outputs a sample.

    `half` tells that floats were computed in half precision, whatever the dtype of the output.
    """
    errors = (
        _compare_output(name, [_pick(sample, name) for sample in reference], [sample[name] for sample in actual])
        for name in actual[0]
    )
    most = TOLERANCE["float16"]
    return tuple(replace(error, tolerance=most) if half and error.mismatches is None else error for error in errors)


def worst(errors: Sequence[OutputError]) -> OutputError:
    """The output that is furthest from what it must be."""
    return max(errors, key=lambda error: (not error.passed, error.max_rel))


def _compare_output(name: str, reference: Sequence[Array], actual: Sequence[Array]) -> OutputError:
    difference = 0.0
    low, high = np.inf, -np.inf
    mismatches = 0
    for wanted, got in zip(reference, actual, strict=True):
        if wanted.shape != got.shape or wanted.dtype != got.dtype:
            raise DataError(
                f"output '{name}' is {describe(got.shape, got.dtype)} in the package, "
                f"{describe(wanted.shape, wanted.dtype)} in the reference model"
            )
        difference = max(difference, largest_difference(wanted, got))
        mismatches += int(np.count_nonzero(wanted != got))
        finite = wanted[np.isfinite(wanted)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    dtype = str(actual[0].dtype)
    relative = relative_error(difference, low, high)
    if dtype in TOLERANCE:
        return OutputError(name, difference, relative, TOLERANCE[dtype])
    return OutputError(name, difference, relative, 0.0, mismatches)


def largest_difference(wanted: Array, got: Array) -> float:
    """The largest ``|wanted - got|``. NaN agrees with NaN, an infinity with itself, and with nothing else."""
    if wanted.dtype.kind in "iub":
        # Modulo 2^64 the larger less the smaller is exact for every integer dtype; in float64 it is not.
        larger, smaller = np.maximum(wanted, got).astype(np.uint64), np.minimum(wanted, got).astype(np.uint64)
        return float((larger - smaller).max(initial=0))
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a[~same] - b[~same])
    return float(np.where(np.isfinite(difference), difference, np.inf).max())


def relative_error(difference: float, low: float, high: float) -> float:
    """`difference` in units of the reference's range; of its magnitude where the range is 0."""
    if difference == 0:
        return 0.0
    unit = high - low if high > low else max(abs(low), abs(high))
    return difference / unit if 0 < unit < np.inf else difference


def _pick(sample: Sample, name: str) -> Array:
    if name not in sample:
        raise DataError(
            f"the reference model has no output '{name}': it has {', '.join(sample)}",
            hint="give the model that the package was compiled from",
        )
    return sample[name]
