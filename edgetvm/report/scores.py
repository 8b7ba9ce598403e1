"""What one run of a model is worth: one number from its input and its output."""

from __future__ import annotations

import numpy as np

from edgetvm.errors import DataError
from edgetvm.oracle.dataset import Array, describe
from edgetvm.report.accuracy import mean_squared_error


def predicted_class(output: Array) -> int:
    """The class with the largest score; -1, no class, if a score is NaN."""
    return -1 if np.isnan(output).any() else int(output.argmax())


def positive_score(given: Array, output: Array, name: str) -> float:
    """How much a sample looks like label 1.

    One number is the score itself, two are the scores of the classes 0 and 1,
    and an output as large as the input is its reconstruction: the worse it is, the more anomalous the input.
    """
    if output.size == 1:
        return float(output.ravel()[0])
    if output.size == given.size:
        return mean_squared_error(given, output)
    if output.size == 2:
        negative, positive = output.astype(np.float64).ravel()
        return float(positive - negative)
    raise DataError(
        f"auc of output '{name}' {describe(output.shape)}: it is neither one score, nor two classes, "
        f"nor as large as the input {describe(given.shape)}"
    )


def squared_error(wanted: Array, output: Array, name: str) -> float:
    """The mean squared error of an output against its target."""
    if wanted.size != output.size:
        raise DataError(
            f"mse of output '{name}' {describe(output.shape)}: neither y nor the input {describe(wanted.shape)} "
            "has as many elements"
        )
    return mean_squared_error(wanted, output)
