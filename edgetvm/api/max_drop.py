"""A float model becomes a quantized one that loses no more accuracy than allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetvm.api.progress import Progress
from edgetvm.errors import DataError, UnsupportedError
from edgetvm.importers.graph import Graph
from edgetvm.importers.onnx import interface, unsupported
from edgetvm.importers.read import read_model
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_graph, write_graph
from edgetvm.passes.quantize.quantization import Quantization
from edgetvm.passes.quantize.search_damage import damages, some
from edgetvm.passes.quantize.search_drop import Sensitivity, cheapest_mix
from edgetvm.passes.quantize.search_mixed import Mix, mixed_graph, only
from edgetvm.passes.quantize.search_plain import unlearned
from edgetvm.passes.quantize.search_units import find_units
from edgetvm.report.figure import judge

_SAMPLES = 32  # that sensitivities are measured on
_CHANCE = {"top1": 0.0, "auc": 0.5}


@dataclass(frozen=True)
class Held:
    """What holds the accuracy: the options it was made by, and its figure beside the float model's."""

    options: QuantizeOptions
    metric: str
    float_figure: float
    figure: float
    samples: int


def quantize_within(
    model: Path,
    output: Path,
    calibration: str | Path | None,
    options: QuantizeOptions,
    max_drop: float,
    *,
    metric: str = "top1",
    score: str | None = None,
    preprocess: str | Path | None = None,
    window: int | None = None,
    shapes: Mapping[str, Sequence[int]] = {},
    progress: Progress | None = None,
) -> Held:
    """Quantize as cheaply as keeps the figure within `max_drop` hundredths of the float model's, and write `output`.

    Labels and samples are those of `calibration`; nothing else is looked at. All is measured in ONNX Runtime on the
    quantize-dequantize form.
    Raises DataError for labels that are missing or that the float model does not know, UnsupportedError when no
    scheme holds.
    """
    if not (math.isfinite(max_drop) and max_drop >= 0):
        raise DataError(f"--max-drop {max_drop:g} must be 0 or more", "0.5 is half a point of top-1, or 0.005 of AUC")
    if calibration is None:
        raise DataError("--max-drop needs labelled samples", "give --calibration DATA that has labels")
    if options.scheme == "int4":
        raise DataError(
            "--max-drop is for int8 and int8x16: which layers get int4 weights is decided by the noise that they add",
            hint="name layers that lose too much in --int8-weights",
        )
    if options.scheme == "int8-dynamic":
        raise DataError("--max-drop is for int8 and int8x16: int8-dynamic has no scheme to mix")
    if options.pixels is not None:
        raise DataError(
            "--max-drop does not go with --input-type",
            "compile without --input-type first, then give the --float-nodes and --int16-nodes that were chosen",
        )
    graph, refusals = read_model(model, shapes)
    if refusals:
        raise unsupported(model, refusals)
    data = load_data(Path(calibration), interface(graph)[0], Path(preprocess) if preprocess else None, None, window)
    labelled = judge(data, graph, metric, score)
    best = labelled.value(graph)
    limit = best - max_drop / 100
    if not limit > _CHANCE[metric]:
        raise DataError(
            f"{model.name} in float has {metric} {best:.4f} on {calibration}: no less than that by {max_drop:g} points "
            "can be called held",
            hint="are labels, label_offset and preprocessing right?",
        )
    made = quantize_graph(model, data, options, progress, shapes)

    if labelled.holds(made.result, limit):
        write_graph(made.result, output)
        return Held(options, metric, best, labelled.value(made.result), data.count)
    plain = unlearned(made, some(data, _SAMPLES))

    def held(mix: Mix) -> Graph | None:
        """Weights learned for int8 everywhere may do harm where a layer before them is mended; either will do."""
        graphs = (mixed_graph(of, mix) for of in (made, plain))
        return next((graph for graph in graphs if labelled.holds(graph, limit)), None)

    found = _sensitivities(plain, data, progress)
    mix = cheapest_mix(found, lambda mix: held(mix) is not None, options.scheme == "int8")
    if mix is None:
        raise UnsupportedError(
            f"{model.name}: {metric} {limit:.4f} on {calibration} is not held, not even in float ({best:.4f})",
            hint="allow a larger --max-drop",
        )
    chosen = quantize_graph(model, data, mix.options(options), progress, shapes).result
    if not labelled.holds(chosen, limit):
        chosen = held(mix) or chosen
    write_graph(chosen, output)
    return Held(mix.options(options), metric, best, labelled.value(chosen), data.count)


def _sensitivities(made: Quantization, data: Dataset, progress: Progress | None) -> list[Sensitivity]:
    units = find_units(made.graph, made.places)
    few = some(data, _SAMPLES)
    found = damages(made.graph, {unit.name: only(made, unit) for unit in units}, few, progress)
    wide = found
    if made.options.scheme == "int8":
        mixes = {unit.name: only(made, unit, Mix(int16_nodes=unit.names)) for unit in units}
        wide = damages(made.graph, mixes, few, progress)
    return [Sensitivity(unit, found[unit.name].noise, wide[unit.name].noise) for unit in units]
