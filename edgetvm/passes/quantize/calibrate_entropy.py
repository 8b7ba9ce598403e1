"""Calibration by entropy: the range whose quantized distribution is nearest to the real one.

The method of TensorRT (Migacz, "8-bit inference with TensorRT", 2017), with the two ends cut by
the same fraction of the full range.
"""

from __future__ import annotations

import numpy as np

from edgetvm.oracle.dataset import Array

from .histogram import BINS, Histogram

_STEPS = 64  # candidates, from 1/8 of the range to all of it


def entropy_range(histogram: Histogram, levels: int = 256) -> tuple[float, float]:
    """The range, holding 0, with the least Kullback-Leibler divergence KL(real || quantized)."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if high <= low or not histogram.counts.any():
        return low, high
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    best, ends = np.inf, (low, high)
    for fraction in np.linspace(1.0, 1 / 8, _STEPS):
        first = int(np.searchsorted(edges, low * fraction, side="right")) - 1
        last = int(np.searchsorted(edges, high * fraction, side="left"))
        first, last = max(first, 0), min(last, BINS)
        if last - first < levels:
            break
        divergence = clipped_divergence(histogram.counts, first, last, levels)
        if divergence < best:
            best, ends = divergence, (float(low * fraction), float(high * fraction))
    return ends


def clipped_divergence(counts: Array, first: int, last: int, levels: int) -> float:
    """KL(P || Q) in nats, over the bins ``first .. last - 1`` of `counts`.

    P holds what lies outside at its first and last bin. Q is made from the same bins without the
    outside: each of `levels` equal groups of bins spreads its sum evenly over those bins of it
    that are not empty. A bin of P that Q cannot hold counts with a probability of 1e-9.
    """
    inside = counts[first:last]
    real = inside.copy()
    real[0] += counts[:first].sum()
    real[-1] += counts[last:].sum()
    groups = np.arange(len(inside)) * levels // len(inside)
    sums = np.bincount(groups, weights=inside, minlength=levels)
    filled = np.bincount(groups, weights=(inside > 0).astype(float), minlength=levels)
    spread = np.where(inside > 0, sums[groups] / np.maximum(filled[groups], 1.0), 0.0)
    if not spread.any():
        return float("inf")
    p, q = real / real.sum(), spread / spread.sum()
    held = p > 0
    return float((p[held] * np.log(p[held] / np.maximum(q[held], 1e-9))).sum())
