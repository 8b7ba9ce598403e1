"""The body of a quantized operator in the making: what it computes, by operators of the default domain.

It is a function of its node's inputs, and the flattener expands it as it does those that ONNX itself defines: in
branches and loops too, with an opset of its own, every inner node known to come from the quantized one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .graph import Array, RefusedError, Tensor, elem_type

OPSET = 21  # the first whose QuantizeLinear knows 16 bits


class Body:
    """Nodes over the inputs of `node`, whose types are `types`; a quantized tensor is input i, its scale and zero
    point the two inputs behind it."""

    def __init__(self, node: onnx.NodeProto, types: Sequence[Tensor | None]) -> None:
        self.node = node
        self.attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        self._types = types
        self._nodes: list[onnx.NodeProto] = []

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self._types) and self._types[index] is not None

    def type(self, index: int) -> Tensor:
        """Type of input `index`, which must be given."""
        found = self._types[index] if index < len(self._types) else None
        if found is None:
            raise RefusedError(f"it is malformed: input {index} must not be left out")
        return found

    def input(self, index: int) -> str:
        """Name of input `index`; "" if it is left out."""
        return f"input_{index}" if self.has(index) else ""

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output; returns the name of that."""
        name = f"{operator}_{len(self._nodes)}"
        output = f"{self.node.output[0]}/{name}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def constant(self, array: Array) -> str:
        """A constant of the body's own."""
        return self.add("Constant", [], value=numpy_helper.from_array(array))

    def real(self, index: int, axis: int = 0) -> str:
        """The numbers that the codes at input `index` stand for; a vector of scales goes along `axis`."""
        inputs = [self.input(index), self.scale(index + 1), self.input(index + 2)]
        return self.add("DequantizeLinear", inputs, axis=axis)

    def scale(self, index: int) -> str:
        """The scale at input `index`, in single precision."""
        type_ = self.type(index)
        if len(type_.shape) > 1:
            raise RefusedError(f"a scale of the shape {list(type_.shape)} is not supported")
        name = self.input(index)
        return name if type_.dtype == "float32" else self.add("Cast", [name], to=onnx.TensorProto.FLOAT)

    def bias(self, index: int, scales: Sequence[int], axis: int = 0, factor: float = 1.0) -> str:
        """The numbers of an int32 bias, whose scale is the product of those at the inputs `scales` and `factor`."""
        scale = self.add("Mul", [self.scale(place) for place in scales])
        if factor != 1.0:
            scale = self.add("Mul", [scale, self.constant(np.array(factor, np.float32))])
        return self.add("DequantizeLinear", [self.input(index), scale], axis=axis)

    def quantized(self, value: str, index: int, like: int) -> str:
        """Codes of `value` with the scale at input `index`; without a zero point, of the type of input `like`."""
        if self.type(index).size != 1:
            raise RefusedError("its result has more than one scale")
        inputs = [value, self.scale(index), self.input(index + 1)]
        if inputs[2]:
            return self.add("QuantizeLinear", inputs)
        return self.add("QuantizeLinear", inputs[:2], output_dtype=elem_type(self.type(like).dtype))

    def finish(self, result: str) -> onnx.FunctionProto:
        """The function whose output is `result`."""
        inputs = [f"input_{index}" for index in range(len(self._types))]
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_function("edgetvm", self.node.op_type, inputs, [result], self._nodes, opsets)
