"""Post-training quantization: a float ONNX model and unlabelled samples -> a model in quantize-dequantize form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgetvm.errors import OutputError, UnsupportedError
from edgetvm.importers.export import export_graph
from edgetvm.importers.graph import Graph
from edgetvm.importers.onnx import read_graph, unsupported
from edgetvm.oracle.dataset import Dataset

from .affine import Affine, affine_of_range
from .choose_calibrator import best_choices, one_choice
from .correct_bias import analytic_bias
from .equalize import equalize
from .histogram import Histogram
from .insert_pairs import insert_pairs
from .int4_layers import SAMPLES, narrow_layers
from .layers import Layer, find_layers, normalise_layers
from .learn import learn_layers
from .options import QuantizedModel, QuantizedTensor, QuantizeOptions
from .pixel_input import fold_pixels
from .places import Places, output_groups, place
from .quantization import Quantization
from .quantize_dynamic import quantize_dynamic
from .reader_noise import reader_sqnr
from .search_damage import Reference, some
from .split_channels import split_channels
from .statistics import channel_means, histograms, ranges
from .weights import LayerWeights, channel_scales, round_bias, round_weights

Progress = Callable[[str, int, int], None]  # (what, done, total)
DEFAULTS = QuantizeOptions()
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")


def quantize_model(
    model: Path,
    output: Path,
    data: Dataset,
    options: QuantizeOptions = DEFAULTS,
    progress: Progress | None = None,
    shapes: Mapping[str, Sequence[int]] = {},
) -> QuantizedModel:
    """Quantize the model at `model` and write it to `output`; `data` are samples of its inputs.

    Raises `UnsupportedError` if the model is quantized already, `DataError` for samples that are
    missing or do not fit, `ModelError` naming an activation that is NaN or infinite.
    """
    made = quantize_graph(model, data, options, progress, shapes)
    write_graph(made.result, output)
    return QuantizedModel(output, made.tensors, made.notes, tuple(made.int4.values()), made.sqnr_db)


def quantize_graph(
    model: Path,
    data: Dataset,
    options: QuantizeOptions = DEFAULTS,
    progress: Progress | None = None,
    shapes: Mapping[str, Sequence[int]] = {},
) -> Quantization:
    """The same, in memory."""
    graph, refusals = read_graph(model, shapes)
    if refusals:
        raise unsupported(model, refusals)
    _refuse_quantized(model, graph)
    _refuse_unknown(model, graph, options)
    normalise_layers(graph)
    image = None if options.pixels is None else fold_pixels(graph, options.pixels)
    data = data if image is None else image.samples(data)
    if options.scheme == "int8-dynamic":
        result, notes = quantize_dynamic(graph, options.float_nodes)
        result = result if image is None else image.opened(result)
        return Quantization(options, graph, result, Places(), {}, {}, {}, {}, (), tuple(notes))
    notes = [*split_channels(graph, data), *equalize(graph, data)] if options.equalize else []
    layers = find_layers(graph)
    places = place(graph, layers, options.float_nodes, options.int16_nodes, wide=options.scheme == "int8x16")
    layers = {key: layer for key, layer in layers.items() if key in places.nodes}
    if image is not None:
        image.fix(places)
    _refuse_unknown_tensors(model, places, options)
    int4 = {}
    if options.scheme == "int4":
        int4 = narrow_layers(model, graph, layers, data, options.int8_weights, progress)
    tensors, counted = calibrate(graph, places, layers, data, options, progress)
    affines = {group: Affine(t.scale, t.zero_point, 16 if t.dtype == "int16" else 8) for group, t in tensors.items()}
    weights = {
        key: nearest(
            graph, layer, affines[places.group[layer.node.inputs[0]]], 4 if key in int4 and int4[key].int4 else 8
        )
        for key, layer in layers.items()
    }
    if options.adaround or options.bias_correction == "empirical":
        learn_layers(graph, places, layers, affines, weights, data, options, progress)
    elif options.bias_correction == "analytic":
        _correct_analytically(graph, places, layers, affines, weights, data)
    result = insert_pairs(graph, places, layers, affines, weights)
    sqnr = Reference(graph, some(data, SAMPLES)).damage(result).sqnr_db if int4 else None
    result = result if image is None else image.opened(result)
    notes += _left_in_float(graph, places)
    found = tuple(tensors.values())
    return Quantization(
        options, graph, result, places, layers, affines, weights, counted, found, tuple(notes), int4, sqnr
    )


def calibrate(
    graph: Graph,
    places: Places,
    layers: Mapping[str, Layer],
    data: Dataset,
    options: QuantizeOptions,
    progress: Progress | None = None,
) -> tuple[dict[str, QuantizedTensor], dict[str, Histogram]]:
    """Scale and zero point of every group of values, in two passes over `data`, and a third over some of it.

    Also the histograms of the groups whose range is not fixed.
    """
    values = [value for members in places.sources.values() for value in members]
    extremes = ranges(graph, values, data, progress)
    free = {group: members for group, members in places.sources.items() if group not in places.fixed}
    counted = histograms(graph, free, extremes, data, progress)
    # 2 ** 16 levels resolve any range: clipping would only lose.
    chosen = {g: one_choice(h, "minmax", 1 << 16) for g, h in counted.items() if g in places.wide}
    narrow = {g: h for g, h in counted.items() if g not in places.wide}
    if options.calibrator == "auto":
        outputs = output_groups(graph, places)
        chosen |= best_choices(narrow, outputs, lambda c: reader_sqnr(graph, places, layers, c, data, progress))
    else:
        chosen |= {g: one_choice(h, options.calibrator) for g, h in narrow.items()}
    named = {places.group[value]: calibrator for value, calibrator in options.tensor_calibrators}
    chosen |= {g: one_choice(h, named[g]) for g, h in narrow.items() if g in named}
    tensors = {}
    for group, members in places.sources.items():
        if group in places.fixed:
            affine = places.fixed[group]
            how, sqnr = "fixed", float("inf")
        else:
            choice = chosen[group]
            affine = affine_of_range(choice.low, choice.high, 16 if group in places.wide else 8)
            how, sqnr = choice.calibrator, choice.sqnr_db
        tensors[group] = QuantizedTensor(members[0], affine.dtype, affine.scale, affine.zero_point, how, sqnr)
    return tensors, counted


def nearest(graph: Graph, layer: Layer, affine: Affine, bits: int = 8) -> LayerWeights:
    """The layer's parameters, each rounded to the nearest integer, weights to one of so many bits."""
    weights = graph.constants[layer.weights]
    bias = None if layer.bias is None else graph.constants[layer.bias.inputs[layer.bias_input]]
    scale = channel_scales(weights, layer.axis, bias, affine.scale, bits)
    integers = round_weights(weights, scale, layer.axis, bits)
    steps = None if bias is None else round_bias(bias, scale, affine.scale)
    return LayerWeights(integers, scale, layer.axis, steps, bits)


def _correct_analytically(
    graph: Graph,
    places: Places,
    layers: Mapping[str, Layer],
    affines: Mapping[str, Affine],
    weights: dict[str, LayerWeights],
    data: Dataset,
) -> None:
    means = channel_means(graph, [layer.node.inputs[0] for layer in layers.values()], data)
    for key, layer in layers.items():
        bias = analytic_bias(graph, layer, weights[key], means[layer.node.inputs[0]])
        if bias is not None:
            scale = affines[places.group[layer.node.inputs[0]]].scale
            weights[key].bias = round_bias(bias, weights[key].scale, scale)


def _refuse_quantized(model: Path, graph: Graph) -> None:
    for node in graph.nodes:
        if node.op in _QUANTIZED or node.op.startswith("QLinear") or node.operator == "com.microsoft.QGemm":
            raise UnsupportedError(
                f"{model.name} is quantized already: {node.name} is a {node.operator}",
                hint="compile it without --quantize, or quantize the float model it came from",
            )


def _refuse_unknown(model: Path, graph: Graph, options: QuantizeOptions) -> None:
    unknown = sorted(
        (options.float_nodes | options.int16_nodes | options.int8_weights) - {node.name for node in graph.nodes}
    )
    if unknown:
        raise UnsupportedError(f"{model.name} has no node '{unknown[0]}'", hint="edgetvm inspect lists its nodes")


def _refuse_unknown_tensors(model: Path, places: Places, options: QuantizeOptions) -> None:
    for value, _ in options.tensor_calibrators:
        if value not in places.group:
            raise UnsupportedError(
                f"{model.name} has no quantized activation '{value}'", hint="edgetvm debug-accuracy lists them"
            )


def _left_in_float(graph: Graph, places: Places) -> list[str]:
    return [
        f"{node.name} ({node.operator}) stays float"
        for node in graph.nodes
        if node.outputs[0] not in places.nodes and graph.types[node.outputs[0]].dtype == "float32"
    ]


def write_graph(graph: Graph, output: Path) -> None:
    """Write a graph as an ONNX file; the same graph gives the same bytes. Raises `OutputError`."""
    try:
        output.write_bytes(export_graph(graph, output.stem).SerializeToString(deterministic=True))
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}") from error
