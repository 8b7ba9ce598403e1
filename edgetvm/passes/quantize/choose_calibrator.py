"""The range of each activation by the calibrator asked for, or by the best of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Choice:
    """A range, the calibrator that found it, and the SQNR in dB that spoke for it."""

    calibrator: str
    low: float
    high: float
    sqnr_db: float


def one_choice(histogram: Histogram, calibrator: str, levels: int = 256) -> Choice:
    """The range by one calibrator."""
    low, high = CALIBRATORS[calibrator](histogram)
    return Choice(calibrator, low, high, histogram.sqnr(low, high, levels))


def best_choices(
    histograms: Mapping[str, Histogram],
    outputs: frozenset[str],
    behind_readers: Callable[[Mapping[str, list[tuple[float, float]]]], Mapping[str, list[float]]],
) -> dict[str, Choice]:
    """For every group the calibrator of best SQNR; the first of `CALIBRATORS` where several are equal.

    outputs         groups that hold an output of the model, or its logits: nothing of them is clipped
    behind_readers  gives the SQNR of candidate ranges where layers read the group; elsewhere it is the tensor's own
    """
    tried = {g: [one_choice(h, name) for name in CALIBRATORS] for g, h in histograms.items() if g not in outputs}
    measured = behind_readers({g: [(c.low, c.high) for c in choices] for g, choices in tried.items()})
    chosen = {g: one_choice(histograms[g], "minmax") for g in histograms if g in outputs}
    for group, choices in tried.items():
        ratios = measured.get(group, [c.sqnr_db for c in choices])
        best = max(range(len(choices)), key=lambda i: ratios[i])
        chosen[group] = Choice(choices[best].calibrator, choices[best].low, choices[best].high, ratios[best])
    return chosen
