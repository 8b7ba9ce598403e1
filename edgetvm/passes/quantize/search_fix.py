"""Fixes tried one by one on a quantized model: what pays is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .choose_calibrator import CALIBRATORS
from .options import QuantizeOptions
from .quantization import Quantization
from .search_mixed import Mix
from .search_units import Unit

PAYS_DB = 0.5  # least gain at the outputs of what costs nothing on the device
PAYS_COSTLY_DB = 2.0  # of int16 activations, and of float
ENOUGH_DB = 35.0  # at the outputs: no layer needs more bits then
FLOAT_BEATS_DB = 3.0  # by what float must beat int16 to be taken instead
_UNITS = 8  # the most costly ones, of which so many in a row may come without a fix that pays
_IN_VAIN = 3

Measure = Callable[[Quantization, Mix], float]  # SQNR in dB at the outputs


@dataclass(frozen=True)
class Trial:
    """One fix, the SQNR in dB at the outputs without and with it, and whether it was kept."""

    fix: str
    before_db: float
    after_db: float
    kept: bool


@dataclass(frozen=True)
class Fixed:
    """The options that hold every fix that paid, and all that was tried."""

    options: QuantizeOptions
    trials: tuple[Trial, ...]


def find_fixes(
    plain: Quantization,
    ranked: Sequence[Unit],
    requantize: Callable[[QuantizeOptions], Quantization],
    measure: Measure,
    measure_whole: Callable[[QuantizeOptions], float],
) -> Fixed:
    """Try, for the model and then for its units from the most costly on, and keep what pays.

    plain, requantize       a model without learned weights, so that each fix is judged by itself; and that of other
                            options
    measure, measure_whole  of a mix of such a model, and of the model with all that options ask for; on samples that
                            neither was quantized by
    """
    search = _Search(plain, measure)
    toggled = replace(plain.options, equalize=not plain.options.equalize)
    search.try_model(f"equalization {'on' if toggled.equalize else 'off'}", requantize(toggled))
    in_vain = 0
    for unit in ranked[:_UNITS]:
        before = search.db
        for value in (*unit.reads, unit.output):
            search.try_calibrators(value)
        search.try_bits(unit)
        in_vain = 0 if search.db > before else in_vain + 1
        if in_vain == _IN_VAIN:
            break
    options = search.mix.options(search.made.options)
    if options == plain.options:
        return Fixed(options, tuple(search.trials))
    before, after = measure_whole(plain.options), measure_whole(options)
    kept = after >= before + PAYS_DB
    search.trials.append(Trial("all that was kept, weights learned", before, after, kept))
    return Fixed(options if kept else plain.options, tuple(search.trials))


class _Search:
    def __init__(self, made: Quantization, measure: Measure) -> None:
        self.made, self.measure, self.mix = made, measure, Mix()
        self.db = measure(made, self.mix)
        self.tried: set[str] = set()
        self.trials: list[Trial] = []

    def try_model(self, fix: str, other: Quantization) -> None:
        after = self.measure(other, self.mix)
        kept = after >= self.db + PAYS_DB
        self._record(fix, after, kept)
        if kept:
            self.made, self.db = other, after

    def try_calibrators(self, value: str) -> None:
        """The best of all calibrators of an activation, if it has a choice."""
        group = self.made.places.group.get(value)
        histogram = self.made.histograms.get(group or "")
        if group is None or histogram is None or group in self.made.places.wide or group in self.tried:
            return
        self.tried.add(group)
        others = tuple(pair for pair in self.mix.tensor_calibrators if pair[0] != value)
        current = {self.made.places.group[tensor.name]: tensor.calibrator for tensor in self.made.tensors}[group]
        names = [name for name in CALIBRATORS if name != current]
        mixes = {name: replace(self.mix, tensor_calibrators=(*others, (value, name))) for name in names}
        after = {name: self.measure(self.made, mix) for name, mix in mixes.items()}
        best = max(after, key=lambda name: after[name])
        kept = after[best] >= self.db + PAYS_DB
        self._record(f"calibrator {best} of {value}", after[best], kept)
        if kept:
            self.mix, self.db = mixes[best], after[best]

    def try_bits(self, unit: Unit) -> None:
        """Int16 activations, or float where that is not enough."""
        if self.db >= ENOUGH_DB:
            return
        levels = {"float": replace(self.mix, float_nodes=self.mix.float_nodes | unit.names)}
        if self.made.options.scheme == "int8":
            levels = {"int16": replace(self.mix, int16_nodes=self.mix.int16_nodes | unit.names)} | levels
        after = {name: self.measure(self.made, mix) for name, mix in levels.items()}
        paying = [name for name in levels if after[name] >= self.db + PAYS_COSTLY_DB]
        best = paying[0] if paying else None
        if len(paying) == 2 and after["float"] >= after["int16"] + FLOAT_BEATS_DB:
            best = "float"
        for name in levels:
            what = "int16 activations of" if name == "int16" else "float instead of integers in"
            self._record(f"{what} {unit.name}", after[name], name == best)
        if best is not None:
            self.mix, self.db = levels[best], after[best]

    def _record(self, fix: str, after: float, kept: bool) -> None:
        self.trials.append(Trial(fix, self.db, after, kept))
