"""Calibration by percentile: the rarest values clip."""

from __future__ import annotations

import numpy as np

from .histogram import BINS, Histogram

SHARE = 0.9999


def percentile_range(histogram: Histogram, share: float = SHARE) -> tuple[float, float]:
    """The range that keeps `share` of all values, leaving half of the rest off at each end; it holds 0.

    Edges of bins: exact to 1 / `BINS` of the full range.
    """
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    counts = histogram.counts.copy()
    if histogram.high > histogram.low:
        at_zero = int(np.clip((0.0 - histogram.low) / (histogram.high - histogram.low) * BINS, 0, BINS - 1))
        counts[at_zero] += histogram.zeros
    cumulative = np.cumsum(counts)
    rest = (1.0 - share) / 2 * cumulative[-1]
    # The lowest and the highest bin that the kept values reach into.
    first = int(np.searchsorted(cumulative, rest, side="right"))
    last = int(np.searchsorted(cumulative, cumulative[-1] - rest, side="left"))
    first, last = min(first, BINS - 1), min(last, BINS - 1)
    return min(float(edges[first]), 0.0), max(float(edges[last + 1]), 0.0)
