"""Learns from measured candidates how far the closed form is off: boosted regression trees of one split.

Gradient boosting of the squared error (Friedman, 2001), with trees so small that a few dozen points support them. The
same points give the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TREES = 60
_RATE = 0.2
_LEAST = 2  # points on either side of a split

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Stump:
    """`below` where feature number `feature` is at most `bound`, else `above`."""

    feature: int
    bound: float
    below: float
    above: float

    def __call__(self, features: Numbers) -> Numbers:
        return np.where(features[:, self.feature] <= self.bound, self.below, self.above)


@dataclass(frozen=True)
class CostModel:
    """A sum of stumps over a mean."""

    mean: float
    stumps: Sequence[Stump]

    def predict(self, features: Numbers) -> Numbers:
        """One value for each row."""
        return sum((stump(features) for stump in self.stumps), np.full(len(features), self.mean))


def fit(features: Numbers, values: Numbers) -> CostModel:
    """The model of `values`, one for each row of `features`; of too few points their mean."""
    mean = float(values.mean()) if len(values) else 0.0
    rest = values - mean
    stumps: list[Stump] = []
    for _ in range(_TREES):
        best = min(
            (split for column in range(features.shape[1]) for split in _splits(features, rest, column)), default=None
        )
        if best is None:
            break
        _, column, bound = best
        left = features[:, column] <= bound
        stump = Stump(column, bound, _RATE * float(rest[left].mean()), _RATE * float(rest[~left].mean()))
        stumps.append(stump)
        rest = rest - stump(features)
    return CostModel(mean, stumps)


def _splits(features: Numbers, rest: Numbers, column: int) -> list[tuple[float, int, float]]:
    """(the squared error that is left, less a constant; the column; the bound) of the best split of one feature."""
    order = np.argsort(features[:, column], kind="stable")
    sorted_values, sums = features[order, column], np.cumsum(rest[order])
    count = np.arange(1, len(rest))
    places = np.flatnonzero(
        (sorted_values[1:] > sorted_values[:-1]) & (count >= _LEAST) & (len(rest) - count >= _LEAST)
    )
    if not len(places):
        return []
    left, n = sums[places], count[places]
    gain = left**2 / n + (sums[-1] - left) ** 2 / (len(rest) - n)
    at = int(np.argmax(gain))
    bound = float(sorted_values[places[at]] + sorted_values[places[at] + 1]) / 2
    return [(-float(gain[at]), column, bound)]
