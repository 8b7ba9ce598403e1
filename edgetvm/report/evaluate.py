"""How right is a package on labelled data?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgetvm.deploy.package import Package
from edgetvm.deploy.read_package import read_package
from edgetvm.deploy.runners import run
from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, Dataset
from edgetvm.report import accuracy, scores
from edgetvm.report.batches import Progress, Run, run_batches
from edgetvm.report.border import load_samples, numbers
from edgetvm.report.types import EvaluateReport

METRICS = ("top1", "auc", "mse")


def evaluate_package(
    package_dir: Path,
    data: Path,
    *,
    metric: str = "top1",
    window: int | None = None,
    output: str | None = None,
    board: str | None = None,
    preprocess: Path | None = None,
    progress: Progress | None = None,
    run: Run = run,
) -> EvaluateReport:
    """Run the package on all of `data` and score output `output` (the first unless named) against the labels."""
    if metric not in METRICS:
        raise DataError(f"unknown metric '{metric}'", hint="metrics are " + ", ".join(METRICS))
    package = read_package(package_dir.resolve())
    column = _output_index(package, output)
    dataset = load_samples(data, package, preprocess, window=window)
    labels = check_labels(dataset, metric, package.outputs[column].shape)
    values = _scores(package, run, dataset, metric, column, labels, board, progress)
    return EvaluateReport(metric, figure(metric, values, labels), dataset.count)


def figure(metric: str, values: Array, labels: Array | None) -> float:
    """The metric of one number a sample, as `sample_value` gives them, and the labels."""
    if metric == "mse":
        return float(values.mean())
    assert labels is not None  # check_labels refused this
    return accuracy.auc(values, labels) if metric == "auc" else accuracy.top1(values, labels)


def sample_value(metric: str, given: Array, got: Array, wanted: Array | None, name: str) -> float:
    """What one run is worth to a metric: input, output `name`, and the target where there is one."""
    if metric == "top1":
        return scores.predicted_class(got)
    if metric == "auc":
        return scores.positive_score(given, got, name)
    return scores.squared_error(given if wanted is None else wanted, got, name)


def _scores(
    package: Package,
    run: Run,
    data: Dataset,
    metric: str,
    column: int,
    labels: Array | None,
    board: str | None,
    progress: Progress | None,
) -> Array:
    """One number a sample: the predicted class, or the mean over the sample's windows."""
    tensor = package.outputs[column]
    name = tensor.name
    values: list[float] = []
    for inputs, outputs, _ in run_batches(package, data, run, board, progress):
        for sample, result in zip(inputs, outputs, strict=True):
            first = package.inputs[0]
            given, got = numbers(first, sample[first.name]), numbers(tensor, result[name])
            wanted = None if labels is None else labels[len(values) // data.windows]
            values.append(sample_value(metric, given, got, wanted, name))
    table: Array = np.asarray(values, dtype=np.float64).reshape(data.count, data.windows)
    means: Array = table.mean(axis=1)
    return means


def _output_index(package: Package, output: str | None) -> int:
    names = [tensor.name for tensor in package.outputs]
    if output is not None and output not in names:
        raise DataError(f"{package.name} has no output '{output}'", hint="its outputs are " + ", ".join(names))
    return 0 if output is None else names.index(output)


def check_labels(data: Dataset, metric: str, shape: tuple[int, ...]) -> Array | None:
    """The labels, checked before anything is run; `shape` is the output's."""
    labels = data.labels
    size = int(np.prod(shape))
    if metric == "mse":
        # y is the target where it is one; an autoencoder's target is its input.
        return labels if labels is not None and labels[0].size == size else None
    if labels is None:
        raise DataError(f"{data.source} has no labels, {metric} needs them", hint="add y to the .npz, or a labels.csv")
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise DataError(f"{data.source}: {metric} needs one whole number a sample as label, y is {labels.dtype}")
    if metric == "top1" and data.windows > 1:
        raise DataError(f"top1 of {data.source}: classes of windows have no mean", hint="use --metric auc or mse")
    if metric == "top1" and not 0 <= int(labels.min()) <= int(labels.max()) < size:
        raise DataError(
            f"{data.source} has labels {int(labels.min())} to {int(labels.max())}, the output has {size} classes",
            hint="is another --output meant, or another label_offset?",
        )
    return labels
