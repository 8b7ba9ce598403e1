"""Calibration by least squared error: clips the tail as far as the finer steps repay it."""

from __future__ import annotations

import numpy as np

from .histogram import Histogram

_STEPS = 83  # candidates for one end, evenly from 1/5 to a little more than all of it
_ROUNDS = 1


def mse_range(histogram: Histogram, levels: int = 256) -> tuple[float, float]:
    """The range, holding 0, whose rounding to `levels` steps errs least.

    One end at a time is searched while the other is held, the larger end first. A range beyond the
    extremes pays where values lie on a grid of their own, as pixels do, halfway between the steps.
    """
    ends = [min(histogram.low, 0.0), max(histogram.high, 0.0)]
    full = tuple(ends)
    best = histogram.error(ends[0], ends[1], levels)
    for _ in range(_ROUNDS):
        for side in sorted((0, 1), key=lambda s: -abs(full[s])):
            if full[side] == 0.0:
                continue
            for fraction in np.linspace(1.02, 0.2, _STEPS):
                trial = list(ends)
                trial[side] = float(full[side] * fraction)
                error = histogram.error(trial[0], trial[1], levels)
                if error < best:
                    best, ends = error, trial
    return ends[0], ends[1]
