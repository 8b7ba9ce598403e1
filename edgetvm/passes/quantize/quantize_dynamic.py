"""Dense layers whose input is quantized at run time: nothing to calibrate.

``MatMul(x, W)`` becomes ``(q, s, z) = DynamicQuantizeLinear(x)``,
``Cast(MatMulInteger(q, Wq, z)) * (s * scale of W)``: uint8 activations with one scale for each run, int8 weights
with one scale for each column. Everything else stays float.
"""

from __future__ import annotations

import onnx

from edgetvm.importers.graph import Graph, Node, Tensor
from edgetvm.importers.rewrite import drop_dead, new_constant

from .layers import Layer, find_layers
from .weights import channel_scales, round_weights

VERSION = 21


def quantize_dynamic(graph: Graph, float_nodes: frozenset[str] = frozenset()) -> tuple[Graph, list[str]]:
    """A new graph with every Gemm and MatMul of constant ``[K, N]`` weights rewritten, and what stays float and why."""
    result = Graph(list(graph.inputs), list(graph.outputs), [], dict(graph.constants), dict(graph.types))
    layers = find_layers(graph)
    sources: dict[str, tuple[str, str, str]] = {}  # readers of one value share its quantization
    notes = []
    for node in graph.nodes:
        layer = layers.get(node.outputs[0])
        if layer is None or node.op not in ("Gemm", "MatMul"):
            result.nodes.append(node)
            if layer is not None:
                notes.append(f"{node.name} ({node.op}) stays float: int8-dynamic is for dense layers")
        elif node.name in float_nodes or layer.axis is None or node.attributes.get("transA", 0):
            result.nodes.append(node)
            notes.append(f"{node.name} ({node.op}) stays float")
        else:
            if node.inputs[0] not in sources:
                sources[node.inputs[0]] = _quantize(result, node.inputs[0])
            _multiply(result, layer, sources[node.inputs[0]])
    drop_dead(result)
    return result, notes


def _quantize(graph: Graph, value: str) -> tuple[str, str, str]:
    shape = graph.types[value].shape
    held = _value(graph, f"{value}_quantized", Tensor("uint8", shape))
    scale = _value(graph, f"{value}_scale", Tensor("float32", ()))
    zero = _value(graph, f"{value}_zero_point", Tensor("uint8", ()))
    _append(graph, "DynamicQuantizeLinear", value, (value,), (held, scale, zero))
    return held, scale, zero


def _multiply(graph: Graph, layer: Layer, source: tuple[str, str, str]) -> None:
    node, (held, scale, zero) = layer.node, source
    weights = graph.constants[layer.weights]
    if layer.axis == 0:
        weights = weights.T
    scales = channel_scales(weights, 1, None, 1.0)
    integers = new_constant(graph, f"{node.name}_weights_quantized", round_weights(weights, scales, 1))
    steps = new_constant(graph, f"{node.name}_weights_scale", scales)
    out = graph.types[layer.key]
    sums = _value(graph, f"{layer.key}_sums", Tensor("int32", out.shape))
    reals = _value(graph, f"{layer.key}_float", out)
    step = _value(graph, f"{layer.key}_scale", Tensor("float32", scales.shape))
    biased = node.op == "Gemm" and len(node.inputs) > 2 and bool(node.inputs[2])
    product = _value(graph, f"{layer.key}_product", out) if biased else layer.key
    _append(graph, "MatMulInteger", node.name, (held, integers, zero), (sums,))
    _append(graph, "Cast", node.name, (sums,), (reals,), {"to": onnx.TensorProto.FLOAT})
    _append(graph, "Mul", f"{node.name}_scale", (steps, scale), (step,))
    _append(graph, "Mul", node.name, (reals, step), (product,))
    if biased:
        _append(graph, "Add", node.name, (product, node.inputs[2]), (layer.key,))


def _append(
    graph: Graph,
    op: str,
    of: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    attributes: dict[str, int] | None = None,
) -> None:
    graph.nodes.append(Node(op, "", VERSION, f"{of}_{op}", (of,), inputs, outputs, attributes or {}))


def _value(graph: Graph, hint: str, type_: Tensor) -> str:
    name = hint
    while name in graph.types:
        name += "_"
    graph.types[name] = type_
    return name
