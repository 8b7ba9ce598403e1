"""Is a package what its model says? Runs both and compares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from edgetvm.deploy.measurement import Measurement, RunRequest
from edgetvm.deploy.package import Package, Tensor
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import ModelError, PackageError, RunError
from edgetvm.oracle.dataset import Dataset, Sample
from edgetvm.oracle.float import float_borders, reference_outputs
from edgetvm.oracle.random_data import random_data
from edgetvm.oracle.ranges import index_ranges
from edgetvm.report.batches import Progress, Run, run_batches
from edgetvm.report.border import as_number_tensor, codes, load_samples, numbers
from edgetvm.report.errors import compare, worst
from edgetvm.report.kernels import kernel_checker
from edgetvm.report.stray_writes import stray_writes
from edgetvm.report.types import VerifyReport

RANDOM_SAMPLES = 10


def verify_package(
    package_dir: Path,
    *,
    model: Path | None = None,
    data: Path | None = None,
    samples: int | None = None,
    board: str | None = None,
    preprocess: Path | None = None,
    seed: int = 0,
    canary: bool = False,
    progress: Progress | None = None,
    run: Run = run,
) -> VerifyReport:
    """Compare the package with ONNX Runtime on `model`, or on the model kept in the package.

    The samples are those of `data`, all or the first `samples`; without data they are random.
    An integer package passes when every kernel gives what the integer interpreter does; its error against
    the model is told all the same.
    Raises RunError when the package writes outside its arena or reads what it has not written; with `canary` also
    when a kernel writes to a part of the arena that is neither its output nor its scratch.
    """
    package = read_package(package_dir.resolve())
    model = reference_model(package, model)
    if data is None:
        count = RANDOM_SAMPLES if samples is None else samples
        # Without inputs there is one answer.
        floats = float_borders(model)
        coded = {tensor.name for tensor in package.inputs if tensor.name not in floats or tensor.pixels is not None}
        inputs = [tensor if tensor.name in coded else as_number_tensor(tensor) for tensor in package.inputs]
        dataset = random_data(inputs, count if inputs else 1, seed, index_ranges(model))
    else:
        dataset = load_samples(data, package, preprocess, samples)
    if canary:
        check_writes(package, dataset, run, board)
    return _compare(package, run, model, dataset, board, progress)


def check_writes(package: Package, data: Dataset, run: Run = run, board: str | None = None) -> None:
    """Raise RunError when a kernel writes beside its own bytes of the arena, on the first two samples of `data`."""
    samples = list(islice(data, 2))
    samples = samples if len(samples) > 1 else samples * 2
    columns = tuple(np.stack([codes(tensor, sample[tensor.name]) for sample in samples]) for tensor in package.inputs)
    measurement = run(package.folder, RunRequest(columns, arenas=True), board=board)
    assert measurement.arenas is not None
    stray = stray_writes(package, measurement.arenas, columns)
    if stray:
        raise RunError(
            f"{package.name}: kernel {stray[0].kernel} wrote {stray[0].bytes} bytes of the arena, from byte "
            f"{stray[0].offset} on, that are not its own, on {measurement.runner}"
        )


def reference_model(package: Package, model: Path | None = None) -> Path:
    """`model` if given, else the package's own copy of its model."""
    if model is not None and not model.is_file():
        raise ModelError(f"reference model {model} does not exist")
    path = model or package.reference_model()
    if path is None:
        raise PackageError(
            f"{package.folder} has no reference model: it was compiled with --no-reference",
            hint="give the model it was compiled from with --model",
        )
    return path


def _compare(
    package: Package, run: Run, model: Path, data: Dataset, board: str | None, progress: Progress | None
) -> VerifyReport:
    floats = float_borders(model)
    reference = reference_outputs(model, (_as_model(package.inputs, sample, floats) for sample in data))
    checker = kernel_checker(package) if package.integer else None
    actual = []
    runner = ""
    for inputs, outputs, measurement in run_batches(package, data, run, board, progress, taps=package.integer):
        _check_memory(package, measurement)
        runner = measurement.runner
        actual += [_as_model(package.outputs, sample, floats) for sample in outputs]
        if checker is not None and measurement.taps is not None:
            for row, sample in enumerate(inputs):
                checker.check(
                    {tensor.name: codes(tensor, sample[tensor.name]) for tensor in package.inputs},
                    [[output[row] for output in call] for call in measurement.taps],
                )
    errors = compare(reference, actual, package.precision == "fp16")
    furthest = worst(errors)
    kernels = () if checker is None else checker.errors
    mismatches = None if checker is None else sum(kernel.wrong or 0 for kernel in kernels)
    return VerifyReport(
        max_abs_error=furthest.max_abs,
        max_rel_error=furthest.max_rel,
        tolerance=furthest.tolerance,
        samples=data.count,
        runner=runner,
        target=board or package.target,
        passed=all(error.passed for error in errors) if mismatches is None else mismatches == 0,
        integer_mismatches=mismatches,
        outputs=errors,
        kernels=kernels,
    )


def _as_model(tensors: Sequence[Tensor], sample: Sample, floats: Collection[str]) -> Sample:
    """A sample as the model has it: numbers where it takes or gives `floats`, codes elsewhere."""
    return {
        tensor.name: (numbers if tensor.name in floats else codes)(tensor, sample[tensor.name]) for tensor in tensors
    }


def _check_memory(package: Package, measurement: Measurement) -> None:
    if measurement.guard_ok is False:
        raise RunError(f"{package.name} wrote outside its arena of {package.arena_bytes} bytes on {measurement.runner}")
    if measurement.repeatable is False:
        raise RunError(
            f"{package.name} gave other outputs on an arena with other contents on {measurement.runner}: "
            "it reads memory that it has not written"
        )
