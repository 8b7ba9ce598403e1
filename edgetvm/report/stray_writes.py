"""Which kernels write beside their outputs and their scratch, from what the arena held after every call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetvm.deploy.package import Package

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class StrayWrite:
    """A kernel call changed `bytes` bytes of the arena that are not its own, the first of them at `offset`."""

    call: int
    kernel: str
    offset: int
    bytes: int


def stray_writes(package: Package, arenas: Bytes, inputs: Sequence[Array]) -> list[StrayWrite]:
    """The calls that changed what is not theirs, in order.

    `arenas` is what `Measurement.arenas` holds, `inputs` what `RunRequest.inputs` held, of two samples or more: before
    the first call of a sample the arena is as the sample before left it, but for its inputs. A byte that is written
    with what it held already is not seen.
    """
    samples, calls, size = arenas.shape
    changed = np.zeros((calls, size), bool)
    changed[1:] = (arenas[:, 1:] != arenas[:, :-1]).any(0)
    for sample in range(1, samples):
        before = arenas[sample - 1, -1].copy()
        for offset, column in zip(package.input_offsets, inputs, strict=True):
            data = np.frombuffer(column[sample].tobytes(), np.uint8)
            before[offset : offset + data.size] = data
        changed[0] |= arenas[sample, 0] != before
    found = []
    for index, (call, row) in enumerate(zip(package.calls, changed, strict=True)):
        for offset, count in call.writes:
            row[offset : offset + count] = False
        if row.any():
            found.append(StrayWrite(index, call.kernel, int(row.argmax()), int(row.sum())))
    return found
