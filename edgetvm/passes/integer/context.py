"""What the handlers of the lowering share: where to emit, and what stands for what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax
from tvm.ir import Expr

from edgetvm.passes.integer.real import Nodes, Value

# (call, values of its operands in order, tuples flattened) -> value, or None: it must be computed in float.
Handler = Callable[["Context", tvm.ir.Call, list[Value]], "Value | None"]


class Context:
    """Emits integer operators under the name of the binding at hand, and records the nodes behind each."""

    def __init__(self, builder: relax.BlockBuilder) -> None:
        self.builder = builder
        self.sources: dict[str, Nodes] = {}
        self.name = ""
        self.nodes: Nodes = ()

    def begin(self, name: str, nodes: Nodes) -> None:
        """What is emitted from now on belongs to this binding."""
        self.name, self.nodes = name, nodes

    def emit(self, expr: Expr, *nodes: Nodes) -> relax.Var:
        """Bind `expr`; it computes `nodes`, or without any those of the binding at hand."""
        var = self.builder.emit(expr, self.name)
        self.sources[var.name] = joined(nodes) if nodes else self.nodes
        return var


def joined(nodes: Iterable[Nodes]) -> Nodes:
    """All of them once, in order."""
    return tuple(dict.fromkeys(node for group in nodes for node in group))


def constant(array: npt.NDArray[Any], dtype: str) -> Expr:
    """A Relax constant. The values must fit `dtype`."""
    cast = np.asarray(array, order="C").astype(dtype)
    if not np.array_equal(cast, array):
        raise OverflowError(f"a constant of {array.min()}..{array.max()} does not fit {dtype}")
    return relax.const(cast, dtype)


def shape_of(expr: Expr) -> tuple[int, ...]:
    """The static shape."""
    return tuple(int(extent) for extent in expr.ty.shape)


def dtype_of(expr: Expr) -> str:
    """The element type."""
    return str(expr.ty.dtype)
