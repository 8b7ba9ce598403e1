"""Runs a package over a whole data set, in batches that neither fill the memory nor hide a hang."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package
from edgetvm.oracle.dataset import Dataset, Sample
from edgetvm.report.border import codes

Progress = Callable[[str, int, int], None]  # (what, done, total)

_FIRST = 32  # samples of the first batch, from whose time the next size follows
_SECONDS = 20.0  # of one batch
_BYTES = 128 * 1024 * 1024  # of its inputs and outputs


class Run(Protocol):
    """`edgetvm.deploy.runners.run`."""

    def __call__(self, package_dir: Path, request: RunRequest, *, board: str | None = None) -> Measurement: ...


def run_batches(
    package: Package,
    data: Dataset,
    run: Run,
    board: str | None = None,
    progress: Progress | None = None,
    taps: bool = False,
) -> Iterator[tuple[list[Sample], list[Sample], Measurement]]:
    """Run every sample: yields inputs, outputs and the measurement of each batch.

    The first batch is guarded: it also tells whether the package stays in its arena. With `taps` the
    measurement holds the output of every kernel. A quantized input takes numbers too; outputs come as they are.
    """
    samples = iter(data)
    tensors = [*package.inputs, *package.outputs]
    if taps:
        tensors += [output for call in package.calls for output in call.outputs]
    most = max(1, _BYTES // max(1, sum(tensor.bytes for tensor in tensors)))
    size, done = min(_FIRST, most), 0
    while batch := list(islice(samples, size)):
        columns = tuple(np.stack([codes(tensor, sample[tensor.name]) for sample in batch]) for tensor in package.inputs)
        start = time.monotonic()
        measurement = run(package.folder, RunRequest(columns, guard=done == 0, taps=taps), board=board)
        elapsed = time.monotonic() - start
        done += len(batch)
        if progress is not None:
            progress("run", done, len(data))
        yield batch, _rows(package, measurement, len(batch)), measurement
        size = max(1, min(most, int(size * _SECONDS / max(elapsed, 1e-3))))


def _rows(package: Package, measurement: Measurement, count: int) -> list[Sample]:
    names = [tensor.name for tensor in package.outputs]
    return [
        {name: column[i, ...] for name, column in zip(names, measurement.outputs, strict=True)} for i in range(count)
    ]
