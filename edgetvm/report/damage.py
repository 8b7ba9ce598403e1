"""Where a quantized model loses its accuracy: layers ranked by what each costs the output, and what would help."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgetvm.importers.graph import Graph
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.integer.in_float import FloatOperator
from edgetvm.passes.quantize.choose_calibrator import CALIBRATORS
from edgetvm.passes.quantize.layers import OPERATORS
from edgetvm.passes.quantize.quantization import Quantization
from edgetvm.passes.quantize.search_damage import Progress, damages
from edgetvm.passes.quantize.search_fix import Trial
from edgetvm.passes.quantize.search_mixed import Mix, only
from edgetvm.passes.quantize.search_units import Unit, find_units
from edgetvm.report.tensors import TensorError

LOOKED_AT = 6  # most costly layers for which remedies are tried
_HARMLESS_DB = 40.0  # a layer that costs the output less needs no remedy
_GAIN_DB = 1.0  # a remedy worth telling
_MENDED_DB = 6.0  # what int16 activations must gain: otherwise the layer's weights are the cause


@dataclass(frozen=True)
class LayerDamage:
    """One layer quantized, all others in float: what that does to the outputs.

    nodes        the layer and what is computed in its kernel
    sqnr_db      of the worst output
    share        of the noise of all layers, each quantized alone
    figure       on labelled data; None without, or of a layer further down
    suggestions  what would help, best first, in words
    """

    name: str
    operator: str
    nodes: tuple[str, ...]
    sqnr_db: float
    share: float
    max_abs_error: float
    figure: float | None = None
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class DamageReport:
    """What `debug_accuracy` found.

    sqnr_db          of the worst output, the whole model in integers against float; before a fix, if there was one
    metric           of the figures, which are on labelled data; None without
    tensors          every quantized activation, in the order of the model
    layers           most costly first
    float_operators  what the target computes in float, and why
    trials           fixes that were tried, in order
    options          what compile and quantize must be given to get the fixed model
    fixed_sqnr_db    of the fixed model; None if nothing was fixed, as the two after it
    """

    model: str
    target: str
    scheme: str
    samples: int
    sqnr_db: float
    metric: str | None
    float_figure: float | None
    integer_figure: float | None
    tensors: tuple[TensorError, ...]
    layers: tuple[LayerDamage, ...]
    float_operators: tuple[FloatOperator, ...]
    trials: tuple[Trial, ...] = ()
    options: tuple[str, ...] = ()
    fixed_sqnr_db: float | None = None
    fixed_figure: float | None = None
    fixed_float_operators: tuple[FloatOperator, ...] | None = None

    def to_json(self) -> dict[str, object]:
        """What ``edgetvm debug-accuracy --json`` prints."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


def rank(made: Quantization, data: Dataset, progress: Progress | None = None) -> list[LayerDamage]:
    """Every unit of the quantized graph, most costly first. `made` should have no learned weights."""
    units = find_units(made.graph, made.places)
    found = damages(made.graph, {unit.name: only(made, unit) for unit in units}, data, progress)
    total = sum(damage.noise for damage in found.values()) or 1.0
    layers = [
        LayerDamage(
            unit.name,
            unit.operator,
            tuple(node.name for node in unit.nodes),
            found[unit.name].sqnr_db,
            found[unit.name].noise / total,
            found[unit.name].max_abs,
        )
        for unit in units
    ]
    return sorted(layers, key=lambda layer: -layer.share)


def ranked_units(made: Quantization, layers: Sequence[LayerDamage]) -> list[Unit]:
    """The units of `made` in the order of `layers`, which may be of another quantization of the model."""
    units = {unit.name: unit for unit in find_units(made.graph, made.places)}
    return [units[layer.name] for layer in layers if layer.name in units]


def with_suggestions(
    made: Quantization, layers: Sequence[LayerDamage], data: Dataset, progress: Progress | None = None
) -> list[LayerDamage]:
    """Remedies for the most costly layers, each measured with the layer alone in integers."""
    units = ranked_units(made, layers)[:LOOKED_AT]
    candidates: dict[str, Graph] = {}
    for number, unit in enumerate(units):
        if layers[number].sqnr_db < _HARMLESS_DB:
            for what, mix in _remedies(made, unit).items():
                candidates[f"{number} {what}"] = only(made, unit, mix)
    found = damages(made.graph, candidates, data, progress) if candidates else {}
    told = []
    for number, layer in enumerate(layers):
        own = {key.partition(" ")[2]: d.sqnr_db for key, d in found.items() if key.partition(" ")[0] == str(number)}
        told.append(replace(layer, suggestions=_suggestions(layer, own)))
    return told


def with_figures(
    made: Quantization, layers: Sequence[LayerDamage], value: Callable[[Graph], float]
) -> list[LayerDamage]:
    """The figure of a model in which only that layer is quantized, for the most costly layers."""
    units = ranked_units(made, layers)[:LOOKED_AT]
    figures = {unit.name: value(only(made, unit)) for unit in units}
    return [replace(layer, figure=figures.get(layer.name)) for layer in layers]


def _remedies(made: Quantization, unit: Unit) -> dict[str, Mix]:
    remedies = {}
    if made.options.scheme == "int8":
        remedies["int16"] = Mix(int16_nodes=unit.names)
    for value in dict.fromkeys((*unit.reads, unit.output)):
        group = made.places.group[value]
        if group in made.histograms and group not in made.places.wide:
            for name in CALIBRATORS:
                remedies[f"{name} {value}"] = Mix(tensor_calibrators=((value, name),))
    return remedies


def _suggestions(layer: LayerDamage, remedies: dict[str, float]) -> tuple[str, ...]:
    """`remedies`: what was tried, and the SQNR that it gave the output."""
    if not remedies:
        return ()
    words = []
    int16 = remedies.pop("int16", None)
    best = max(remedies, key=lambda what: remedies[what], default=None)
    if best is not None and remedies[best] >= layer.sqnr_db + _GAIN_DB:
        calibrator, _, tensor = best.partition(" ")
        words.append(f"calibrator {calibrator} for '{tensor}': {_gain(layer.sqnr_db, remedies[best])}")
    if int16 is None:
        words.append("leave it in float")
    elif int16 >= layer.sqnr_db + _MENDED_DB:
        words.append(f"int16 activations: {_gain(layer.sqnr_db, int16)}")
    else:
        why = "its weights are the cause" if layer.operator in OPERATORS else "int16 activations do not mend it"
        words.append(f"leave it in float: {why} (int16: {_gain(layer.sqnr_db, int16)})")
    return tuple(words)


def _gain(before: float, after: float) -> str:
    return f"{before:.1f} -> {after:.1f} dB" if math.isfinite(after) else f"{before:.1f} dB -> no error"


def _plain(value: object) -> object:
    """Dataclasses, tuples and infinities as JSON has them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
