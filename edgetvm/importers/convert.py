"""What a converter sees of the node that it turns into Relax."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Expr

from .graph import DTYPES, Array, Graph, Node, RefusedError, Tensor

# Attributes of a kernel of ours whose loops do not show what it is: its name, and its numbers as JSON.
OPERATOR, ATTRIBUTES = "edgetvm.operator", "edgetvm.attributes"


class Emitter:
    """Builds the Relax function: values by name, bindings named after ONNX nodes."""

    def __init__(self, graph: Graph, builder: relax.BlockBuilder) -> None:
        self.graph = graph
        self.builder = builder
        self.values: dict[str, Expr] = {}
        self.shared: dict[tuple[str, str], Expr] = {}
        self.sources: dict[str, tuple[str, ...]] = {}

    def value(self, name: str) -> Expr:
        """Relax expression of a value of the graph."""
        if name not in self.values:
            self.values[name] = constant(self.graph.constants[name])
        return self.values[name]


class Call:
    """One node in the making: its operands, its attributes, and where to emit.

    A converter returns the Relax expression of the node's output, or a list of them.
    """

    def __init__(self, emitter: Emitter, node: Node) -> None:
        self._emitter = emitter
        self.node = node
        self._hint = identifier(node.name)

    @property
    def count(self) -> int:
        """Number of inputs, those left out included."""
        return len(self.node.inputs)

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    def wants(self, index: int) -> bool:
        """Whether output `index` is used."""
        return index < len(self.node.outputs) and self.node.outputs[index] != ""

    def x(self, index: int = 0) -> Expr:
        """Input `index`."""
        return self._emitter.value(self.node.inputs[index])

    def type(self, index: int = 0) -> Tensor:
        """Type of input `index`."""
        return self._emitter.graph.types[self.node.inputs[index]]

    def out(self, index: int = 0) -> Tensor:
        """Type of output `index`."""
        return self._emitter.graph.types[self.node.outputs[index]]

    def value(self, index: int) -> Array | None:
        """Value of input `index` if it is constant."""
        if not self.has(index):
            return None
        return self._emitter.graph.constants.get(self.node.inputs[index])

    def need(self, index: int, what: str) -> Array:
        """Value of input `index`, which must be constant."""
        value = self.value(index)
        if value is None:
            raise RefusedError(f"its {what} is known at run time only")
        return value

    def need_ints(self, index: int, what: str) -> list[int]:
        """Value of input `index`, which must be a constant list of integers."""
        return [int(v) for v in self.need(index, what).reshape(-1)]

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, strings decoded."""
        value = self.node.attributes.get(name, default)
        if isinstance(value, list | tuple):
            return [item.decode() if isinstance(item, bytes) else item for item in value]
        return value.decode() if isinstance(value, bytes) else value

    def emit(self, expr: Expr) -> Expr:
        """Bind `expr` to a variable named after the node."""
        var = self._emitter.builder.emit(expr, self._hint)
        self._emitter.sources[var.name] = self.node.sources
        return var

    def once(self, purpose: str, index: int, make: Callable[[], Expr]) -> Expr:
        """What `make` emits of input `index`, the same for all nodes that read that input for this purpose."""
        key = (purpose, self.node.inputs[index])
        if key not in self._emitter.shared:
            self._emitter.shared[key] = make()
        return self._emitter.shared[key]

    def te(
        self,
        compute: Callable[..., Any],
        *args: Any,
        name: str | None = None,
        mark: str | None = None,
        **numbers: int | Sequence[int],
    ) -> Expr:
        """Emit a kernel of ours; `compute` maps TE tensors to a TE tensor or a list of them.

        `mark` and `numbers` tell passes what it computes.
        """
        hint = name or identifier(self.node.op).lower()
        attrs: Mapping[str, str] | None = None
        if mark is not None:
            attrs = {OPERATOR: mark, ATTRIBUTES: json.dumps(numbers, sort_keys=True)}
        call = self._emitter.builder.call_te(compute, *args, primfunc_name_hint=hint, primfunc_attrs=attrs)
        return self.emit(call)

    def constant(self, array: Array | float | int, dtype: str | None = None) -> Expr:
        """A constant of the node's own."""
        return constant(np.asarray(array, dtype))

    def outputs(self, tuple_: Expr, count: int) -> list[Expr]:
        """The fields of a tuple."""
        return [self.emit(relax.TupleGetItem(tuple_, index)) for index in range(count)]


Converter = Callable[[Call], Expr | Sequence[Expr | None]]


def constant(array: Array) -> Expr:
    """An array as a Relax constant of the same element type."""
    if array.dtype.name not in DTYPES:
        raise RefusedError(f"a constant has element type {array.dtype.name}")
    return relax.const(np.asarray(array, order="C"), array.dtype.name)


def identifier(text: str) -> str:
    """`text` as a C identifier."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
    return f"_{name}" if name[0].isdigit() else name


def normal_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front."""
    if not -rank <= axis < rank:
        raise RefusedError(f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank if rank else 0
