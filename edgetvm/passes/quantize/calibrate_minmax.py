"""Calibration by the extremes: nothing clips."""

from __future__ import annotations

from .histogram import Histogram


def minmax_range(histogram: Histogram) -> tuple[float, float]:
    """The smallest and the largest value seen, widened to hold 0."""
    return min(histogram.low, 0.0), max(histogram.high, 0.0)
