"""What a converter sees of the TensorFlow Lite operator that it turns into ONNX nodes.

The form is QDQ: DequantizeLinear in front of float operators, QuantizeLinear behind them, with the
scales and zero points that the file gives its tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .graph import DTYPES, FLOATS, Array, RefusedError
from .tflite_file import QUANTIZED, Quantization, TfliteModel, TfliteOperator, TfliteTensor

LARGEST_ZERO_POINT = {name: (np.iinfo(name).min, np.iinfo(name).max) for name in QUANTIZED}


class Nodes:
    """The ONNX graph in the making."""

    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.reals: dict[int, str] = {}  # dequantized tensors
        self._taken = {tensor.name for tensor in model.tensors}

    def fresh(self, hint: str) -> str:
        """A name that nothing has yet."""
        name, count = hint, 0
        while name in self._taken:
            count += 1
            name = f"{hint}_{count}"
        self._taken.add(name)
        return name

    def stored(self, index: int) -> str:
        """The value of a tensor as it is stored; a constant becomes an initializer."""
        tensor = self.model.tensors[index]
        if tensor.data is not None and tensor.name not in self.initializers:
            self.initializers[tensor.name] = numpy_helper.from_array(tensor.data, tensor.name)
        return tensor.name


class TfliteCall:
    """One operator: its tensors, its options, and the nodes that it becomes."""

    def __init__(self, nodes: Nodes, operator: TfliteOperator) -> None:
        self._nodes = nodes
        self.operator = operator
        self.options = operator.options

    @property
    def count(self) -> int:
        """Number of inputs, those left out included."""
        return len(self.operator.inputs)

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < self.count and self.operator.inputs[index] >= 0

    def tensor(self, index: int = 0) -> TfliteTensor:
        """Input `index`."""
        if not self.has(index):
            raise RefusedError(f"it lacks its input {index}")
        return self._nodes.model.tensors[self.operator.inputs[index]]

    def out(self, index: int = 0) -> TfliteTensor:
        """Output `index`."""
        if index >= len(self.operator.outputs) or self.operator.outputs[index] < 0:
            raise RefusedError(f"it lacks its output {index}")
        return self._nodes.model.tensors[self.operator.outputs[index]]

    def value(self, index: int, what: str) -> Array:
        """Input `index`, which must be constant."""
        data = self.tensor(index).data
        if data is None:
            raise RefusedError(f"its {what} is known at run time only")
        return data

    def ints(self, index: int, what: str) -> list[int]:
        """Input `index`, which must be a constant list of integers."""
        value = self.value(index, what)
        if value.dtype.kind not in "iu":
            raise RefusedError(f"its {what} has element type {value.dtype}")
        return [int(v) for v in value.reshape(-1)]

    def stored(self, index: int = 0) -> str:
        """Input `index` as it is stored."""
        self.tensor(index)
        return self._nodes.stored(self.operator.inputs[index])

    def moved(self, index: int = 0) -> str:
        """Input `index` for an operator that only moves values: dequantized where it is quantized."""
        tensor = self.tensor(index)
        if not tensor.is_quantized:
            return self.stored(index)
        reals, place = self._nodes.reals, self.operator.inputs[index]
        if place not in reals:
            reals[place] = self.dequantize(self.stored(index), tensor.dtype, per_tensor(tensor))
        return reals[place]

    def real(self, index: int = 0) -> str:
        """Input `index` for an operator that computes: a float, or an integer that is no quantized number."""
        tensor = self.tensor(index)
        if not tensor.is_quantized and tensor.dtype in QUANTIZED:
            raise RefusedError(f"its input '{tensor.name}' is {tensor.dtype} without a scale")
        if not tensor.is_quantized and tensor.dtype not in FLOATS and self.out().is_quantized:
            raise RefusedError(f"its input '{tensor.name}' is {tensor.dtype} where its output is quantized")
        return self.moved(index)

    def constant(self, array: Array | Sequence[int], hint: str, dtype: str | None = None) -> str:
        """A constant of the operator's own."""
        name = self._nodes.fresh(f"{self.operator.name}/{hint}")
        self._nodes.initializers[name] = numpy_helper.from_array(np.asarray(array, dtype), name)
        return name

    def number(self, value: float, hint: str) -> str:
        """A float32 scalar."""
        return self.constant(np.array(value, np.float32), hint)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; gives its output."""
        return self.split_node(operator, *inputs, count=1, **attributes)[0]

    def split_node(self, operator: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Append a node of `count` outputs."""
        name = self._nodes.fresh(f"{self.operator.name}/{operator}")
        outputs = [self._nodes.fresh(f"{name}:{index}") for index in range(count)]
        self._nodes.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return outputs

    def dequantize(self, stored: str, dtype: str, quantization: Quantization, axis: int = 0) -> str:
        """DequantizeLinear; a vector of scales goes along `axis`. int32 has no zero point."""
        return self.node("DequantizeLinear", stored, *self._parameters(quantization, dtype), axis=axis)

    def give(self, value: str, index: int = 0) -> None:
        """Make `value` the output `index`, quantized as the file says."""
        tensor = self.out(index)
        if tensor.is_quantized:
            self._name(self.node("QuantizeLinear", value, *self._parameters(per_tensor(tensor), tensor.dtype)), index)
            return
        if tensor.dtype in QUANTIZED:
            raise RefusedError(f"its output '{tensor.name}' is {tensor.dtype} without a scale")
        self._name(value, index)

    def give_moved(self, value: str, index: int = 0, source: int = 0) -> None:
        """Make `value` the output `index` of an operator that copies what input `source` stores, bit for bit."""
        tensor, out = self.tensor(source), self.out(index)
        if tensor.dtype != out.dtype:
            raise RefusedError(f"its output '{out.name}' is {out.dtype}, its input {tensor.dtype}")
        if tensor.is_quantized:
            value = self.node("QuantizeLinear", value, *self._parameters(per_tensor(tensor), tensor.dtype))
        self._name(value, index)

    def _parameters(self, quantization: Quantization, dtype: str) -> list[str]:
        """Scale, and zero point where there may be one."""
        shape: tuple[int, ...] = () if quantization.scale.size == 1 else quantization.scale.shape
        scale = self.constant(quantization.scale.reshape(shape), "scale")
        if dtype == "int32":
            return [scale]
        return [scale, self.constant(quantization.zero_point.reshape(shape), "zero_point", dtype)]

    def _name(self, value: str, index: int) -> None:
        """Give the tensor's name to what the operator has made, or to a copy of what it was given."""
        for node in self._nodes.nodes[::-1]:
            if not node.name.startswith(f"{self.operator.name}/"):
                break
            for place, output in enumerate(node.output):
                if output == value and output not in self._nodes.reals.values():
                    node.output[place] = self.out(index).name
                    return
        self.node("Identity", value)
        self._nodes.nodes[-1].output[0] = self.out(index).name


TfliteConverter = Callable[[TfliteCall], None]


def per_tensor(tensor: TfliteTensor) -> Quantization:
    """The quantization of a tensor that has one scale."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale.size != 1:
        raise RefusedError(f"tensor '{tensor.name}' is not quantized by one scale")
    return quantization


def check_tensor(tensor: TfliteTensor) -> None:
    """Refuse a tensor that kernels cannot hold, or whose quantization makes no sense."""
    if tensor.dtype not in DTYPES:
        raise RefusedError(f"tensor '{tensor.name}' has element type {tensor.dtype}")
    if tensor.data is None and min(tensor.shape, default=1) < 1:
        raise RefusedError(f"tensor '{tensor.name}' has the dynamic shape {list(tensor.shape)}")
    quantization = tensor.quantization
    if quantization is None or not tensor.is_quantized:
        return
    if not np.all(np.isfinite(quantization.scale) & (quantization.scale > 0)):
        raise RefusedError(f"tensor '{tensor.name}' has the scale {quantization.scale.min()}: it must be above 0")
    low, high = LARGEST_ZERO_POINT[tensor.dtype]
    if quantization.zero_point.min() < low or quantization.zero_point.max() > high:
        raise RefusedError(f"tensor '{tensor.name}' has a zero point outside {tensor.dtype}")
    if quantization.scale.size > 1:
        axis, rank = quantization.axis, len(tensor.shape)
        if not 0 <= axis < rank or quantization.scale.size != tensor.shape[axis]:
            raise RefusedError(f"tensor '{tensor.name}' has {quantization.scale.size} scales that fit no axis of it")
