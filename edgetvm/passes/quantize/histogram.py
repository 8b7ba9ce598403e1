"""What calibration keeps of a tensor: how often each value came, in equal bins; size independent of the samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgetvm.oracle.dataset import Array

BINS = 4096  # 16 for each of the 256 integers


@dataclass(eq=False)
class Histogram:
    """Counts of values in equal bins from `low` to `high`, which must be the exact extremes of what is added.

    counts  float64 ``[BINS]``
    zeros   how many values were exactly 0; they are not in `counts`
    """

    low: float
    high: float
    counts: Array = field(default_factory=lambda: np.zeros(BINS))
    zeros: int = 0

    def add(self, values: Array) -> None:
        """Count the elements of a float array."""
        flat = values.ravel()
        nonzero = flat[flat != 0]
        self.zeros += flat.size - nonzero.size
        if self.high > self.low and nonzero.size:
            factor = np.float32(BINS / (self.high - self.low))
            bins = ((nonzero - np.float32(self.low)) * factor).astype(np.int32)
            np.clip(bins, 0, BINS - 1, out=bins)
            self.counts += np.bincount(bins, minlength=BINS)
        else:
            self.counts[0] += nonzero.size

    @property
    def centers(self) -> Array:
        """The middle of each bin, float64 ``[BINS]``."""
        width = (self.high - self.low) / BINS
        return self.low + (np.arange(BINS) + 0.5) * width

    @property
    def total(self) -> float:
        """How many values were added."""
        return float(self.counts.sum()) + self.zeros

    def error(self, low: float, high: float, levels: int = 256) -> float:
        """Sum of squared errors if the values were rounded to `levels` steps from `low` to `high` that hold 0.

        The values of a bin count as its middle.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        if high <= low:
            return float((self.counts * self.centers**2).sum())
        scale = (high - low) / (levels - 1)
        first = np.rint(low / scale)
        steps = np.clip(np.rint(self.centers / scale), first, first + levels - 1)
        return float((self.counts * (steps * scale - self.centers) ** 2).sum())

    def sqnr(self, low: float, high: float, levels: int = 256) -> float:
        """Signal to quantization noise in dB of rounding to `levels` steps from `low` to `high`."""
        signal = float((self.counts * self.centers**2).sum())
        noise = self.error(low, high, levels)
        if signal == 0.0 or noise == 0.0:
            return np.inf
        return 10.0 * float(np.log10(signal / noise))
