"""Ranges and histograms of activations, one sample at a time: memory does not grow with the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgetvm.errors import DataError, ModelError
from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Array, Dataset

from .histogram import Histogram
from .session import Session

Progress = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Range:
    """The extremes of one value."""

    low: float
    high: float


def observe(
    graph: Graph, values: Sequence[str], data: Dataset, what: str = "", progress: Progress | None = None
) -> Iterator[dict[str, Array]]:
    """What the float `graph` computes for `values`, graph inputs among them, sample by sample.

    Raises `DataError` if there are no samples or ONNX Runtime refuses one, and `ModelError` naming
    the value and the sample that hold NaN or infinity.
    """
    if len(data) == 0:
        raise DataError(f"{data.source} holds no calibration samples", hint="give data like what the model will see")
    computed = [value for value in values if value not in graph.inputs]
    session = Session(graph, graph.nodes, graph.inputs, computed) if computed else None
    for number, sample in enumerate(data):
        try:
            results = session.run(sample) if session is not None else {}
        except Exception as error:  # ONNX Runtime's exceptions share no base
            line = str(error).strip().split("\n")[0]
            raise DataError(
                f"calibration sample {number} of {data.source} cannot be run: {line}",
                hint="samples must have the names, shapes and dtypes of the model's inputs",
            ) from error
        found = {value: results[value] if value in results else sample[value] for value in values}
        _refuse_infinite({**sample, **found}, number, data)
        yield found
        if progress is not None:
            progress(what, number + 1, len(data))


def ranges(graph: Graph, values: Sequence[str], data: Dataset, progress: Progress | None = None) -> dict[str, Range]:
    """The extremes of every value."""
    low = dict.fromkeys(values, np.inf)
    high = dict.fromkeys(values, -np.inf)
    for results in observe(graph, values, data, "ranges", progress):
        for value, array in results.items():
            low[value], high[value] = min(low[value], float(array.min())), max(high[value], float(array.max()))
    return {value: Range(low[value], high[value]) for value in values}


def histograms(
    graph: Graph,
    sources: dict[str, list[str]],
    extremes: dict[str, Range],
    data: Dataset,
    progress: Progress | None = None,
) -> dict[str, Histogram]:
    """One histogram for each group of values that share a scale, over the extremes of all of them."""
    found = {
        group: Histogram(min(extremes[v].low for v in members), max(extremes[v].high for v in members))
        for group, members in sources.items()
    }
    values = [value for members in sources.values() for value in members]
    for results in observe(graph, values, data, "histograms", progress):
        for group, members in sources.items():
            for value in members:
                found[group].add(results[value])
    return found


def channel_means(graph: Graph, values: Sequence[str], data: Dataset) -> dict[str, Array]:
    """The mean of every channel, axis 1, float64."""
    sums: dict[str, Array] = {}
    for results in observe(graph, values, data):
        for value, array in results.items():
            axes = tuple(axis for axis in range(array.ndim) if axis != 1)
            sums[value] = sums.get(value, 0.0) + array.mean(axis=axes, dtype=np.float64)
    return {value: total / len(data) for value, total in sums.items()}


def channel_maxima(graph: Graph, values: Sequence[str], data: Dataset) -> dict[str, Array]:
    """The largest element of every channel, axis 1, at least 0; float64."""
    found: dict[str, Array] = {}
    for results in observe(graph, values, data):
        for value, array in results.items():
            axes = tuple(axis for axis in range(array.ndim) if axis != 1)
            found[value] = np.maximum(found.get(value, 0.0), array.max(axis=axes).astype(np.float64))
    return found


def _refuse_infinite(values: Mapping[str, Array], number: int, data: Dataset) -> None:
    for value, array in values.items():
        if array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        held = "NaN" if np.isnan(array).any() else "infinity"
        raise ModelError(
            f"activation '{value}' is {held} in calibration sample {number} of {data.source}",
            hint="look at that sample, and at the nodes before that tensor",
        )
