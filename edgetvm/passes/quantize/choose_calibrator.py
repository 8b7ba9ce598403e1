"""The range of one tensor by the calibrator asked for, or by the best of all."""

from __future__ import annotations

from collections.abc import Callable

from .calibrate_entropy import entropy_range
from .calibrate_minmax import minmax_range
from .calibrate_mse import mse_range
from .calibrate_percentile import percentile_range
from .histogram import Histogram

CALIBRATORS: dict[str, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": minmax_range,
    "percentile": percentile_range,
    "entropy": entropy_range,
    "mse": mse_range,
}


def choose_range(histogram: Histogram, calibrator: str) -> tuple[str, tuple[float, float]]:
    """The calibrator and its range; of ``auto`` the one with the best SQNR after 8-bit rounding, in order of a tie."""
    if calibrator != "auto":
        return calibrator, CALIBRATORS[calibrator](histogram)
    ranges = [(name, find(histogram)) for name, find in CALIBRATORS.items()]
    return max(ranges, key=lambda item: histogram.sqnr(*item[1]))
