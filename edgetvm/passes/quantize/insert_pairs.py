"""A float graph -> the same graph in quantize-dequantize form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgetvm.importers.graph import Graph, Node, Tensor
from edgetvm.importers.rewrite import drop_dead, new_constant
from edgetvm.oracle.dataset import Array

from .affine import Affine, affine_of_range, quantize
from .layers import Layer
from .places import INPUTS, Places
from .weights import LayerWeights, bias_scale

VERSION = 21


def insert_pairs(
    graph: Graph,
    places: Places,
    layers: Mapping[str, Layer],
    affines: Mapping[str, Affine],
    weights: Mapping[str, LayerWeights],
) -> Graph:
    """A new graph with a pair behind every value that `places` names, and integer weights and biases.

    `affines` gives scale and zero point by group, `weights` the integers by layer.
    """
    result = Graph(list(graph.inputs), list(graph.outputs), [], dict(graph.constants), dict(graph.types))
    writer = _Writer(result, places, affines)
    for value in graph.inputs:
        writer.pair(value)
    biased = {id(layer.bias): layer for layer in layers.values() if layer.bias is not None}
    for node in graph.nodes:
        inputs = [writer.read.get(value, value) for value in node.inputs]
        layer = layers.get(node.outputs[0])
        if layer is not None and layer.key in weights:
            inputs[1] = writer.layer_weights(layer, weights[layer.key])
        owner = biased.get(id(node))
        if owner is not None and owner.key in weights and weights[owner.key].bias is not None:
            scale = affines[places.group[owner.node.inputs[0]]].scale
            inputs[owner.bias_input] = writer.layer_bias(owner, weights[owner.key], scale)
        elif node.outputs[0] in places.nodes and not node.domain:
            count = INPUTS[node.op] or len(inputs)
            for index in range(count):
                if inputs[index] in graph.constants and graph.types[inputs[index]].dtype == "float32":
                    inputs[index] = writer.constant(inputs[index])
        result.nodes.append(replace(node, inputs=tuple(inputs)))
        for value in node.outputs:
            writer.pair(value)
    result.outputs = [(label, writer.read.get(value, value)) for label, value in graph.outputs]
    drop_dead(result)
    return result


class _Writer:
    """Appends quantize and dequantize nodes; `read` is what readers of a value take instead of it."""

    def __init__(self, graph: Graph, places: Places, affines: Mapping[str, Affine]) -> None:
        self.graph, self.places, self.affines = graph, places, affines
        self.read: dict[str, str] = {}
        self._constants: dict[str, str] = {}

    def pair(self, value: str) -> None:
        """Quantize and dequantize `value`, if it has a place."""
        group = self.places.group.get(value)
        if group is None:
            return
        affine = self.affines[group]
        shape = self.graph.types[value].shape
        scale = new_constant(self.graph, f"{value}_scale", np.array(affine.scale, np.float32))
        zero = new_constant(self.graph, f"{value}_zero_point", np.array(affine.zero_point, affine.dtype))
        held = self._value(f"{value}_quantized", Tensor(affine.dtype, shape))
        self._node("QuantizeLinear", value, (value, scale, zero), held, {})
        self.read[value] = self._value(f"{value}_dequantized", Tensor("float32", shape))
        self._node("DequantizeLinear", value, (held, scale, zero), self.read[value], {})

    def layer_weights(self, layer: Layer, weights: LayerWeights) -> str:
        """The dequantized weights of a layer."""
        return self._dequantized(f"{layer.node.name}_weights", weights.held, weights.scale, weights.axis)

    def layer_bias(self, layer: Layer, weights: LayerWeights, input_scale: float) -> str:
        """The dequantized bias of a layer."""
        assert weights.bias is not None  # the caller looked
        return self._dequantized(
            f"{layer.node.name}_bias", weights.bias, bias_scale(weights.scale, input_scale), axis=0
        )

    def constant(self, name: str) -> str:
        """An operand that is constant, as int8."""
        if name not in self._constants:
            array = self.graph.constants[name]
            affine = affine_of_range(float(array.min(initial=0.0)), float(array.max(initial=0.0)))
            zero = np.array(affine.zero_point, np.int8)
            scale = np.array(affine.scale, np.float32)
            self._constants[name] = self._dequantized(name, quantize(array, affine), scale, None, zero)
        return self._constants[name]

    def _dequantized(
        self, hint: str, integers: Array, scale: Array, axis: int | None, zero: Array | None = None
    ) -> str:
        held = new_constant(self.graph, f"{hint}_quantized", integers)
        shape = () if axis is None else (integers.shape[axis],)
        scales = new_constant(self.graph, f"{hint}_scale", np.broadcast_to(scale, shape).astype(np.float32))
        if zero is None:
            zero = np.zeros(shape, integers.dtype)
        zeros = new_constant(self.graph, f"{hint}_zero_point", zero)
        out = self._value(f"{hint}_dequantized", Tensor("float32", integers.shape))
        self._node("DequantizeLinear", hint, (held, scales, zeros), out, {} if axis is None else {"axis": axis})
        return out

    def _value(self, hint: str, type_: Tensor) -> str:
        name, count = hint, 0
        while name in self.graph.types:
            count += 1
            name = f"{hint}_{count}"
        self.graph.types[name] = type_
        return name

    def _node(self, op: str, of: str, inputs: tuple[str, ...], output: str, attributes: dict[str, int]) -> None:
        name = f"{of}_{op}"
        self.graph.nodes.append(Node(op, "", VERSION, name, (name,), inputs, (output,), attributes))
