"""Where does a quantized model lose its accuracy, and what helps?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgetvm.api.progress import Progress
from edgetvm.api.quantize import move_to
from edgetvm.errors import DataError, OutputError
from edgetvm.importers.graph import Graph
from edgetvm.importers.onnx import interface, unsupported
from edgetvm.importers.read import import_model, read_model
from edgetvm.oracle.data import load_data
from edgetvm.oracle.dataset import Dataset
from edgetvm.passes.integer.in_float import FloatOperator
from edgetvm.passes.pipeline import optimize
from edgetvm.passes.quantize.options import QuantizeOptions
from edgetvm.passes.quantize.post_training import quantize_graph, write_graph
from edgetvm.passes.quantize.quantization import Quantization
from edgetvm.passes.quantize.search_damage import Reference, some
from edgetvm.passes.quantize.search_fix import find_fixes
from edgetvm.passes.quantize.search_mixed import Mix, mixed_graph
from edgetvm.passes.quantize.search_plain import unlearned
from edgetvm.report.damage import DamageReport, rank, ranked_units, with_figures, with_suggestions
from edgetvm.report.figure import Judge, judge
from edgetvm.report.tensors import compare_tensors
from edgetvm.target.load import load_target

DEBUG_SCHEMES = ("int8", "int8x16")
SAMPLES = 32  # of the calibration data, evenly chosen, that errors are measured on
_HELD_OUT = 4  # one sample of so many is kept from quantization, to judge fixes by
_FEWEST = 8  # samples of which some can be held out


def debug_accuracy(
    model: str | Path,
    target: str | Path,
    calibration: str | Path,
    *,
    data: str | Path | None = None,
    metric: str = "top1",
    score: str | None = None,
    scheme: str = "int8",
    preprocess: str | Path | None = None,
    window: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    fix: bool = False,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> DamageReport:
    """Quantize a float model as `compile` does and tell where it loses accuracy.

    calibration  an .npz or a folder of images, as for `quantize`; errors are measured on some of it
    data         labelled samples for the figures: `metric` "top1" or "auc" of the output `score` (default: the first)
    scheme       "int8" or "int8x16"
    fix          try fixes and keep those that pay, judged by calibration samples that were not quantized by
    output       a new ONNX file for the quantized model, the fixed one with `fix`

    Raises an EdgeTVMError that says what to do.
    """
    path, shapes = Path(model), shapes or {}
    chosen = load_target(str(target))
    if scheme not in DEBUG_SCHEMES:
        raise DataError(f"--scheme {scheme} has no tensors to compare", f"choose from {', '.join(DEBUG_SCHEMES)}")
    if output is not None and Path(output).exists():
        raise OutputError(f"{output} exists already", "give the name of a new file")
    graph, refusals = read_model(path, shapes)
    if refusals:
        raise unsupported(path, refusals)
    inputs, _ = interface(graph)
    rule = Path(preprocess) if preprocess else None
    samples = load_data(Path(calibration), inputs, rule, None, window)
    judged = None if data is None else judge(load_data(Path(data), inputs, rule, None, window), graph, metric, score)
    options = QuantizeOptions(scheme=scheme)

    def quantize(some_data: Dataset, wanted: QuantizeOptions) -> Quantization:
        return quantize_graph(path, some_data, wanted, progress, shapes)

    made = quantize(samples, options)
    report = _examine(path.name, chosen.name, made, samples, judged, progress)
    if fix:
        fitted, held = _split(samples)

        def plain(wanted: QuantizeOptions) -> Quantization:
            quick = quantize(fitted, replace(wanted, adaround=False, bias_correction="none"))
            return replace(unlearned(quick, some(fitted, SAMPLES)), options=wanted)

        references: dict[int, Reference] = {}  # equalization makes another float graph

        def measure(of: Quantization, mix: Mix) -> float:
            if id(of.graph) not in references:  # a reference keeps its graph, and with it the number
                references[id(of.graph)] = Reference(of.graph, held)
            return references[id(of.graph)].damage(mixed_graph(of, mix)).sqnr_db

        parted = plain(options)
        units = ranked_units(parted, report.layers)
        found = find_fixes(parted, units, plain, measure, lambda wanted: measure(quantize(fitted, wanted), Mix()))
        report = replace(report, trials=found.trials, options=_as_arguments(found.options))
        if found.options != options:
            made = quantize(samples, found.options)
            report = replace(
                report,
                fixed_sqnr_db=Reference(made.graph, some(samples, SAMPLES)).damage(made.result).sqnr_db,
                fixed_figure=None if judged is None else judged.value(made.result),
                fixed_float_operators=_left_in_float(made.result),
            )
    if output is not None:
        with tempfile.TemporaryDirectory(prefix="edgetvm-") as work:
            write_graph(made.result, Path(work) / "quantized.onnx")
            move_to(Path(work) / "quantized.onnx", Path(output))
    return report


def _examine(
    model: str, target: str, made: Quantization, samples: Dataset, judged: Judge | None, progress: Progress | None
) -> DamageReport:
    looked_at = some(samples, SAMPLES)
    whole = Reference(made.graph, looked_at).damage(made.result)
    plain = unlearned(made, looked_at)
    layers = with_suggestions(plain, rank(plain, looked_at, progress), looked_at, progress)
    if judged is not None:
        layers = with_figures(plain, layers, judged.value)
    return DamageReport(
        model=model,
        target=target,
        scheme=made.options.scheme,
        samples=len(looked_at),
        sqnr_db=whole.sqnr_db,
        metric=None if judged is None else judged.metric,
        float_figure=None if judged is None else judged.value(made.graph),
        integer_figure=None if judged is None else judged.value(made.result),
        tensors=compare_tensors(made, looked_at),
        layers=tuple(layers),
        float_operators=_left_in_float(made.result),
    )


def _split(samples: Dataset) -> tuple[Dataset, Dataset]:
    """Samples to quantize by, and at most `SAMPLES` others to judge by; all for both where there are few."""
    if len(samples) < _FEWEST:
        return samples, samples
    kept = range(0, len(samples), _HELD_OUT)
    rest = [index for index in range(len(samples)) if index % _HELD_OUT]
    fitted = Dataset(samples.source, len(rest), lambda i: samples.fetch(rest[i]))
    return fitted, some(Dataset(samples.source, len(kept), lambda i: samples.fetch(kept[i])), SAMPLES)


def _left_in_float(graph: Graph) -> tuple[FloatOperator, ...]:
    """What compile computes in float of a quantized graph; every operator if nothing in it is quantized."""
    with tempfile.TemporaryDirectory(prefix="edgetvm-") as work:
        path = Path(work) / "quantized.onnx"
        write_graph(graph, path)
        return optimize(import_model(path)).floats or ()


def _as_arguments(options: QuantizeOptions) -> tuple[str, ...]:
    """The options of `edgetvm compile` that quantize so."""
    words = ["--quantize", options.scheme]
    if not options.equalize:
        words.append("--no-equalize")
    for value, calibrator in options.tensor_calibrators:
        words += ["--tensor-calibrator", f"{value}={calibrator}"]
    for option, names in (("--float-nodes", options.float_nodes), ("--int16-nodes", options.int16_nodes)):
        if names:
            words += [option, ",".join(sorted(names))]
    return tuple(words)
