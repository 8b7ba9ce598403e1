"""Whether what a trial wrote is right, and what its samples say."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from edgetvm.oracle.loops import run_loops, written_params
from edgetvm.tune.types import OK, WRONG, Cost, Outcome, Ran, TuningTask

_TOLERANCE = {"float32": 1e-4, "float16": 1e-2}  # of the range of the output, as `verify` has it
_HALF_RANGE = 2**12  # of random int16, so that sums of products stay within 32 bits
_OUTLIER = 3.0  # standard deviations, estimated by the median deviation
_TO_DEVIATION = 1.4826


def random_inputs(task: TuningTask, seed: int = 0) -> dict[int, NDArray[np.generic]]:
    """A kernel's inputs by position: its own constants, and random numbers."""
    rng = np.random.default_rng(seed)
    outputs, inputs = written_params(task.func), {}
    for position, param in enumerate(task.func.params):
        if position in outputs:
            continue
        shape, dtype = tuple(int(extent) for extent in param.shape), np.dtype(str(param.dtype))
        if position in task.constants:
            inputs[position] = task.constants[position][0]
        elif dtype.kind in "iu":
            most = min(np.iinfo(dtype).max, _HALF_RANGE)
            low = max(np.iinfo(dtype).min, -most - 1)
            inputs[position] = rng.integers(low, most + 1, shape).astype(dtype)
        else:
            inputs[position] = rng.standard_normal(shape).astype(dtype)
    return inputs


def reference_outputs(task: TuningTask, inputs: dict[int, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
    """What a kernel must compute. Raises UnreadableError where nobody knows."""
    return run_loops(task.func, inputs)


def judge(ran: Ran, wanted: Sequence[NDArray[np.generic]], unit: str, base: float = 1.0) -> Outcome:
    """Integers must be equal, floats near; then the samples give the cost, where there are some of a trial beside it
    as multiples of these, which count as `base`.
    """
    if ran.status != OK:
        return Outcome(ran.status, note=ran.note)
    difference = _difference(ran, wanted)
    if difference:
        return Outcome(WRONG, note=difference)
    ratios = [base * own / other for own, other in zip(ran.samples, ran.beside, strict=True)] if ran.beside else []
    return Outcome(OK, cost_of(ratios or ran.samples, unit))


def _difference(ran: Ran, wanted: Sequence[NDArray[np.generic]]) -> str:
    """What is wrong about the outputs, nothing if they are right."""
    if ran.digest is not None:
        same = ran.digest == crc32(b"".join(array.tobytes() for array in wanted))
        return "" if same else "the CRC-32 of the outputs differs"
    at = 0
    for number, array in enumerate(wanted):
        got = np.frombuffer(ran.output, array.dtype, array.size, at).reshape(array.shape)
        at += array.nbytes
        if wrong := _wrong(got, array):
            return f"{wrong} of {array.size} elements of output {number} differ"
    return ""


def _wrong(got: NDArray[np.generic], wanted: NDArray[np.generic]) -> int:
    """How many elements are wrong."""
    if got.tobytes() == wanted.tobytes():
        return 0
    if wanted.dtype.kind != "f":
        return int(np.count_nonzero(got != wanted))
    a, b = got.astype(float), wanted.astype(float)
    return int(np.count_nonzero(~(np.abs(a - b) <= _TOLERANCE[str(wanted.dtype)] * float(np.ptp(b)))))


def cost_of(samples: Sequence[float], unit: str) -> Cost:
    """The median without outliers, and its 95 % interval (McGill, Tukey, Larsen: Variations of Box Plots, 1978)."""
    values = np.asarray(samples, float)
    deviation = np.abs(values - np.median(values))
    kept = values[deviation <= _OUTLIER * _TO_DEVIATION * np.median(deviation) + 1e-9]
    middle, (low, high) = float(np.median(kept)), np.percentile(kept, [25, 75])
    notch = 1.57 * float(high - low) / len(kept) ** 0.5
    return Cost(middle, middle - notch, middle + notch, unit)
